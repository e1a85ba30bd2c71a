"""When a worker waits, so that replicas, applications and disks keep up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection

BATCH_ROWS = 2_000
"""Rows per transaction, about 20 ms of row locks."""


class Throttle(Protocol):
    """Says before each batch how long to wait, and how many rows it may have."""

    @property
    def batch_size(self) -> int:
        """Rows of the next batch, at most."""
        ...

    def before_batch(self, connection: Connection) -> float:
        """Return the seconds to wait before the next batch; 0.0 to go on.

        Asked again after the wait: a worker that waits long renews its lease in between.
        """
        ...

    def after_batch(self, rows: int, seconds: float) -> None:
        """Learn how a batch went.

        Args:
            rows: that were changed or tried.
            seconds: from its first statement to its commit.

        """
        ...


class NoThrottle:
    """Never waits."""

    def __init__(self, batch_size: int = BATCH_ROWS) -> None:
        self.batch_size = batch_size

    def before_batch(self, connection: Connection) -> float:
        """Go on."""
        del connection
        return 0.0

    def after_batch(self, rows: int, seconds: float) -> None:
        """Learn nothing."""
