"""Slices: workers wait for autovacuum before a table has grown to twice its size.

Each row that is re-encrypted leaves a dead one behind, whose place can only be used again once
(auto)vacuum has been there. A job that never waits ends with a table of twice the size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from vaultdb.db.shipped_sql import shipped_sql

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_BLOAT: Final = 0.5
"""Dead rows for each living one, from which on workers wait. Autovacuum comes from 0.2 on."""
SMALLEST: Final = 100_000
"""Dead rows that nobody waits for: about 20 MB."""
LOOK: Final = 1.0
"""Seconds between two looks; PostgreSQL's counts are as old."""
ROUNDS: Final = 3
"""Autovacuum's rounds to wait for: then it is busy, or an old transaction keeps the rows."""

_DEAD = text(shipped_sql("vaultdb.jobs.work", "dead_rows"))


class DeadRows:
    """Says when to wait for autovacuum, and never for longer than a few of its rounds.

    Args:
        table: as PostgreSQL reads it, quoted and with its schema.
        max_bloat: dead rows for each living one.
        smallest: dead rows that are not worth a wait.
        clock: seconds, going forward only.

    """

    def __init__(
        self,
        table: str,
        max_bloat: float = MAX_BLOAT,
        *,
        smallest: int = SMALLEST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._max_bloat = max_bloat
        self._smallest = smallest
        self._clock = clock
        self._looked_at = float("-inf")
        self._waits_since: float | None = None
        self._gave_up_at = 0
        self._waits = False

    def is_too_many(self, connection: Connection) -> bool:
        """Whether to wait now; asks PostgreSQL at most once a second."""
        now = self._clock()
        if now - self._looked_at >= LOOK:
            self._looked_at = now
            self._waits = self._look(connection, now)
        return self._waits

    def _look(self, connection: Connection, now: float) -> bool:
        found = connection.execute(_DEAD, {"table": self._table}).one()
        bound = max(self._smallest, self._max_bloat * found.live)
        if not found.vacuumed or found.dead <= max(bound, self._gave_up_at):
            self._waits_since = None
            return False
        if self._waits_since is None:
            self._waits_since = now
        if now - self._waits_since > ROUNDS * max(found.naptime, LOOK):
            # Go on for another slice: these do not vanish, or not soon.
            self._gave_up_at = found.dead + bound
            self._waits_since = None
            return False
        return True
