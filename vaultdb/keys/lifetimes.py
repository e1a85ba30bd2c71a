"""How long what was read may be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom

from vaultdb.keys.clock import BOOT_TIME, Clock

SOFT_TTL = 300.0
"""Seconds until a DEK is refreshed in the background; 1,000 DEKs in 50 processes ask Vault for
167 unwraps a second, which is far below what one node answers."""
HARD_TTL = 900.0
"""Seconds since its last successful unwrap until a DEK is given up: the bound on revocation when
an attacker also blocks Vault, and the outage that an application rides through."""
UNKNOWN_TTL = 5.0
"""Seconds that a key id, or a scope, which the key table does not hold is remembered."""
RETRY_AFTER = 5.0
"""Seconds until a failed refresh is tried again."""
DENIED_TTL = 1.0
"""Seconds that a refusal is remembered: a lasting one costs a call a second, not one per row."""


def ten_percent() -> float:
    """Spread the refreshes of many processes that started together."""
    return SystemRandom().uniform(0.9, 1.1)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The soft and the hard lifetime in seconds, and the clock they are measured with."""

    soft_ttl: float = SOFT_TTL
    hard_ttl: float = HARD_TTL
    clock: Clock = BOOT_TIME
    jitter: Callable[[], float] = ten_percent
