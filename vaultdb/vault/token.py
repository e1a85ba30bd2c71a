"""The Vault token of this process and its lifetime."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from vaultdb.errors import VaultRejected
from vaultdb.vault.answers import take


@dataclass(frozen=True, slots=True)
class Token:
    """A token in use.

    Args:
        secret: the token itself.
        obtained_at: seconds of the boot-time clock, taken before it was asked for.
        ttl: seconds from then on; infinite for a root token.
        renewable: whether it can be renewed.
        is_ours: made by our login, so that we may revoke it.
        entity: the id of the Vault entity that it belongs to, or None.

    """

    secret: str = field(repr=False)
    obtained_at: float
    ttl: float
    renewable: bool
    is_ours: bool = True
    entity: str | None = None
    generation: int = 0
    """counts logins; a renewal keeps it"""

    @property
    def expires_at(self) -> float:
        """The end of its life, if it is not renewed."""
        return self.obtained_at + self.ttl

    @classmethod
    def from_login(cls, answer: Any, asked_at: float) -> Token:
        """Read the answer of a login or of `renew-self`."""
        return cls(
            str(take(answer, "auth", "client_token")),
            asked_at,
            _ttl(take(answer, "auth", "lease_duration")),
            bool(take(answer, "auth", "renewable")),
            entity=_entity(answer["auth"]),
        )

    @classmethod
    def from_lookup(cls, secret: str, answer: Any, asked_at: float) -> Token:
        """Read the answer of `lookup-self` for a token that somebody gave us."""
        ttl = _ttl(take(answer, "data", "ttl"))
        renewable = bool(answer["data"].get("renewable"))
        entity = _entity(answer["data"])
        return cls(secret, asked_at, ttl, renewable, is_ours=False, entity=entity)


def _entity(facts: Any) -> str | None:
    """Read the entity's id; tokens that were not made by a login belong to none."""
    entity = facts.get("entity_id")
    return entity if isinstance(entity, str) and entity else None


def _ttl(seconds: object) -> float:
    """Read a TTL: 0 is a root token, which lives for ever."""
    if not isinstance(seconds, int | float):
        raise VaultRejected("vault's answer has no TTL in seconds; check vault.addr")
    return float(seconds) if seconds else math.inf
