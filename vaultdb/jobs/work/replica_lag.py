"""How long the slowest replica is behind, from the primary's point of view.

PostgreSQL's own `replay_lag` is the delay of the last WAL that was replayed: it stands still when
the replica does. So the worker remembers when the primary had written how much, and looks how old
the newest position is that every replica has replayed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.errors import ConfigurationError
from vaultdb.logs import JOBS

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOOK: Final = 0.5
"""Seconds between two looks; the answer is as old, at most."""
KEPT: Final = 7_200
"""Positions that are remembered: an hour of looks. A replica that is behind more is behind."""

_REPLICAS = text(shipped_sql("vaultdb.jobs.work", "replicas"))


class ReplicaLag:
    """Watches the replicas of one primary.

    Args:
        clock: seconds, going forward only.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written: deque[tuple[float, int]] = deque(maxlen=KEPT)
        self._looked_at = float("-inf")
        self._lag = 0.0
        self._told = False

    def seconds(self, connection: Connection) -> float:
        """Return the lag of the slowest replica; 0.0 when there is none.

        Args:
            connection: to the primary.

        Raises:
            ConfigurationError: the login may not see how far replicas are.

        """
        now = self._clock()
        if now - self._looked_at >= LOOK:
            self._lag = self._look(connection, now)
            self._looked_at = now
        return self._lag

    def _look(self, connection: Connection, now: float) -> float:
        found = connection.execute(_REPLICAS).one()
        if not found.replicas:
            if not self._told:
                JOBS.warning("no replica is connected, so there is no lag to wait for")
                self._told = True
            return 0.0
        if not found.sees:
            login = connection.scalar(text("SELECT session_user"))
            raise ConfigurationError(
                f"login {login} may not see how far replicas are: an administrator grants it"
                " pg_read_all_stats for the time of the job, or leave --max-lag out"
            )
        self._written.append((now, found.written))
        if found.replayed is None:  # it has connected and replayed nothing yet
            return now - self._written[0][0]
        while len(self._written) > 1 and self._written[1][1] <= found.replayed:
            self._written.popleft()
        # The rest was written after that look, so this is never too little.
        return 0.0 if found.written <= found.replayed else now - self._written[0][0]
