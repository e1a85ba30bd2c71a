"""The throttle of a worker on a live system: replicas, vacuum, a rate, row locks kept short."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from vaultdb.errors import ConfigurationError
from vaultdb.jobs.work.dead_rows import DeadRows
from vaultdb.jobs.work.replica_lag import LOOK, ReplicaLag
from vaultdb.jobs.work.throttle import BATCH_ROWS

if TYPE_CHECKING:
    from sqlalchemy import Connection

SMALLEST_BATCH: Final = 250
"""Rows; below that the transactions cost more than the rows."""
STEP: Final = 125
"""Rows that a batch grows by while the server answers quickly."""
SLOW: Final = 0.25
"""Seconds of a batch, and so of its row locks, from which on the next one has half the rows: an
application waits for one of them, and a person notices a quarter of a second."""
BURST: Final = 1.0
"""Seconds of the allowed rows that may be made up for after a wait."""


class Pace:
    """Waits for replicas and for a rate, and makes batches smaller while the server is busy.

    The batch grows by a fixed number of rows and shrinks by half, as TCP's window does.

    Args:
        max_lag: seconds that the slowest replica may be behind; None for any.
        max_rows_per_second: of this worker; None for as many as it can.
        dead_rows: of the table that is worked on; None to leave them to autovacuum.
        clock: seconds, going forward only.

    Raises:
        ConfigurationError: a limit that nothing could keep.

    """

    def __init__(
        self,
        *,
        max_lag: float | None = None,
        max_rows_per_second: float | None = None,
        dead_rows: DeadRows | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_lag is not None and max_lag <= 0:
            raise ConfigurationError("--max-lag takes seconds, more than 0")
        if max_rows_per_second is not None and max_rows_per_second <= 0:
            raise ConfigurationError("--max-rows-per-second takes rows, more than 0")
        self._max_lag = max_lag
        self._rate = max_rows_per_second
        self._dead_rows = dead_rows
        self._clock = clock
        self._lag = ReplicaLag(clock)
        self._batch = BATCH_ROWS
        self._allowance = 0.0
        self._counted_at = clock()

    @property
    def batch_size(self) -> int:
        """Rows of the next batch, at most."""
        if self._rate is None:
            return self._batch
        return max(1, min(self._batch, int(self._rate * BURST)))

    def before_batch(self, connection: Connection) -> float:
        """Return the seconds to wait before the next batch; 0.0 to go on.

        Raises:
            ConfigurationError: the login may not see how far replicas are.

        """
        if self._max_lag is not None and self._lag.seconds(connection) > self._max_lag:
            return LOOK
        if self._dead_rows is not None and self._dead_rows.is_too_many(connection):
            return LOOK
        if self._rate is None:
            return 0.0
        now = self._clock()
        earned = (now - self._counted_at) * self._rate
        self._counted_at = now
        self._allowance = min(self._allowance + earned, self._rate * BURST)
        missing = self.batch_size - self._allowance
        return max(0.0, missing / self._rate)

    def after_batch(self, rows: int, seconds: float) -> None:
        """Learn how a batch went."""
        self._allowance -= rows
        if seconds > SLOW:
            self._batch = max(SMALLEST_BATCH, self._batch // 2)
        else:
            self._batch = min(BATCH_ROWS, self._batch + STEP)
