"""How long the chains of this process are, told now and then while something changes.

Who cuts the end off one chain must cut all others back to the same moment: each later heartbeat
names the records that are gone. Heartbeats are of one log: two engines of a process each have
their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from vaultdb.audit.event import Event
from vaultdb.audit.kinds import CHAIN_HEARTBEAT
from vaultdb.db.auditlog.chains import Chains


class Heartbeat:
    """Says when a heartbeat is due, and what it tells; used under the outbox's lock.

    Args:
        every: seconds from the first record that a heartbeat covers until it is due.
        chains: of this process, in one log.

    """

    def __init__(
        self, every: float, *chains: Chains, _clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every = every
        self._chains = chains
        self._clock = _clock
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forget that the parent's chains have grown."""
        self._due_at: float | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether a chain has grown since the last one."""
        return self._due_at is not None

    def want(self) -> None:
        """Note that a chain has grown."""
        if self._due_at is None:
            self._due_at = self._clock() + self._every

    def due_in(self) -> float | None:
        """Return the seconds until the next one is due; None while no chain grows."""
        return None if self._due_at is None else self._due_at - self._clock()

    def beat(self) -> Event | None:
        """Return the heartbeat that is due now, None if none is."""
        due = self.due_in()
        if due is None or due > 0:
            return None
        self._due_at = None
        heads = [head for chains in self._chains for head in chains.heads()]
        return Event(CHAIN_HEARTBEAT, {"chains": heads}) if heads else None
