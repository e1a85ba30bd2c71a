"""See who holds up a migration while it waits, from a second connection."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sqlalchemy.exc import SQLAlchemyError

from vaultdb.alembic.statements import shipped

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

INTERVAL = 0.2
"""Seconds between two looks."""

_BLOCKERS = shipped("blockers")


@dataclass(frozen=True, slots=True)
class Blocker:
    """One session that holds a lock; never the text of its query."""

    pid: int
    login: str | None
    state: str | None
    transaction_age: float | None
    """Seconds; None where the migrator may not see it."""
    query_age: float | None
    seen: float
    """Seconds since it was first seen blocking."""

    def __str__(self) -> str:
        parts = [self.state or f"blocking for at least {self.seen:.0f} s"]
        if self.transaction_age is not None:
            parts.append(f"transaction open for {self.transaction_age:.0f} s")
        if self.query_age is not None:
            parts.append(f"last query began {self.query_age:.0f} s ago")
        return f"pid {self.pid} ({self.login or 'unknown login'}, {', '.join(parts)})"


class Watch:
    """A thread that looks at who blocks a connection; a context manager.

    Args:
        engine: opens the second connection.
        pid: the server process of the connection that waits.

    """

    def __init__(self, engine: Engine, pid: int) -> None:
        self._engine = engine
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vaultdb-blockers", daemon=True)
        self._first_seen: dict[int, float] = {}
        self.blockers: tuple[Blocker, ...] = ()
        """The last ones that were seen."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        # Who blocks is a help, not a need: a login that may connect once only goes without.
        try:
            with self._engine.connect() as connection:
                while not self._stop.wait(INTERVAL):
                    self.blockers = self._look(connection) or self.blockers
        except SQLAlchemyError:
            return

    def _look(self, connection: Connection) -> tuple[Blocker, ...]:
        now = time.monotonic()
        rows = connection.execute(_BLOCKERS, {"pid": self._pid}).all()
        connection.commit()
        return tuple(
            Blocker(
                row.pid,
                row.login,
                row.state,
                row.transaction_age,
                row.query_age,
                now - self._first_seen.setdefault(row.pid, now),
            )
            for row in rows
        )
