"""How long a migration waits: for another migration, for a lock, and between two attempts."""

from __future__ import annotations

import random
from dataclasses import dataclass

from vaultdb.errors import ConfigurationError

LOCK_TIMEOUT = 3.0
"""Seconds that a statement waits for a lock. Everybody who comes later queues up behind it."""
ATTEMPTS = 5
"""How often a revision is tried that found its table locked."""
FIRST_PAUSE = 1.0
"""Seconds before the second attempt; doubled before each further one."""
LONGEST_PAUSE = 30.0
"""Seconds; no pause is longer, before its jitter."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What a migration does about locks.

    Raises:
        ConfigurationError: a time that is negative, or no attempt at all.

    """

    wait: float = 0.0
    """Seconds to wait for another migration to end; 0 refuses at once."""
    lock_timeout: float = LOCK_TIMEOUT
    """Seconds that a statement waits for a lock; 0 waits for ever."""
    attempts: int = ATTEMPTS
    first_pause: float = FIRST_PAUSE

    def __post_init__(self) -> None:
        if min(self.wait, self.lock_timeout, self.first_pause) < 0 or self.attempts < 1:
            raise ConfigurationError(
                "waiting and lock timeout are seconds from 0 up, and attempts are at least 1"
            )

    def pause_after(self, attempt: int) -> float:
        """Return the seconds to wait after a failed attempt, with jitter of a half either way."""
        pause: float = min(self.first_pause * 2 ** (attempt - 1), LONGEST_PAUSE)
        return pause * random.uniform(0.5, 1.5)  # noqa: S311  # spreads attempts, hides nothing
