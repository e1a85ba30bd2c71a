"""When a worker waits, so that replicas, applications and disks keep up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Throttle(Protocol):
    """Says before each batch how long to wait."""

    def before_batch(self, connection: Connection) -> float:
        """Return the seconds to wait before the next batch; 0.0 to go on."""
        ...


class NoThrottle:
    """Never waits."""

    def before_batch(self, connection: Connection) -> float:
        """Go on."""
        del connection
        return 0.0
