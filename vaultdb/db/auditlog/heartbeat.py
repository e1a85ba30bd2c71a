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
        every: seconds between two of them, at least.
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
        self.is_wanted = False
        self._last = self._clock() - self._every

    def due_in(self) -> float | None:
        """Return the seconds until the next one is due; None while no chain grows."""
        return self._last + self._every - self._clock() if self.is_wanted else None

    def beat(self) -> Event | None:
        """Return the heartbeat that is due now, None if none is."""
        due = self.due_in()
        if due is None or due > 0:
            return None
        self.is_wanted = False
        self._last = self._clock()
        heads = [head for chains in self._chains for head in chains.heads()]
        return Event(CHAIN_HEARTBEAT, {"chains": heads}) if heads else None
