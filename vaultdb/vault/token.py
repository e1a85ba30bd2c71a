"""The Vault token of this process and its lifetime."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Token:
    """A token in use.

    Args:
        secret: the token itself.
        obtained_at: seconds of the boot-time clock, taken before it was asked for.
        ttl: seconds from then on; infinite for a root token.
        renewable: whether it can be renewed.
        is_ours: made by our login, so that we may revoke it.

    """

    secret: str = field(repr=False)
    obtained_at: float
    ttl: float
    renewable: bool
    is_ours: bool = True
    generation: int = 0
    """counts logins; a renewal keeps it"""

    @property
    def expires_at(self) -> float:
        """The end of its life, if it is not renewed."""
        return self.obtained_at + self.ttl

    @classmethod
    def from_login(cls, answer: Mapping[str, Any], asked_at: float) -> Token:
        """Read the answer of a login or of `renew-self`."""
        auth = answer["auth"]
        return cls(auth["client_token"], asked_at, _ttl(auth["lease_duration"]), auth["renewable"])

    @classmethod
    def from_lookup(cls, secret: str, answer: Mapping[str, Any], asked_at: float) -> Token:
        """Read the answer of `lookup-self` for a token that somebody gave us."""
        data = answer["data"]
        ttl, renewable = _ttl(data["ttl"]), bool(data.get("renewable"))
        return cls(secret, asked_at, ttl, renewable, is_ours=False)


def _ttl(seconds: float) -> float:
    """Read a TTL: 0 is a root token, which lives for ever."""
    return float(seconds) if seconds else math.inf
