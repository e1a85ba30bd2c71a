"""One migration at a time, and no statement that waits long for a table.

The lock is an advisory one of the session, because a revision with an `autocommit_block` ends its
transaction. Who waits for it asks again and again instead of waiting inside PostgreSQL, where the
open snapshot would hold up the very `CREATE INDEX CONCURRENTLY` that it waits for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from vaultdb.alembic.blockers import Watch
from vaultdb.alembic.statements import shipped
from vaultdb.errors import SchemaError

if TYPE_CHECKING:
    from vaultdb.alembic.blockers import Blocker
    from vaultdb.alembic.patience import Patience

T = TypeVar("T")

POLL = 0.2
"""Seconds between two questions whether the other migration has ended."""

_TRY = text("SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext('vaultdb.migrate'))")
_UNLOCK = text("SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtext('vaultdb.migrate'))")
_HOLDER = shipped("holder")
_TIMEOUT = text("SELECT pg_catalog.set_config('lock_timeout', :milliseconds, false)")

_LOCK_FAILURES = frozenset({"55P03", "40P01"})
"""lock_not_available, deadlock_detected: the transaction is rolled back and may be tried again."""


def take(connection: Connection, patience: Patience) -> None:
    """Take the lock of migrations for the session.

    Raises:
        SchemaError: another migration holds it, still after `patience.wait` seconds.

    """
    deadline = time.monotonic() + patience.wait
    while not connection.scalar(_TRY):
        holder = connection.execute(_HOLDER).first()
        connection.commit()
        if time.monotonic() >= deadline:
            who = f" (pid {holder.pid}, {holder.login})" if holder else ""
            waited = f" still, after {patience.wait:g} s" if patience.wait else ""
            raise SchemaError(
                f"another migration of vaultdb is running on this database{waited}{who}; wait for"
                " it to end, for instance with --wait SECONDS"
            )
        time.sleep(POLL)
    connection.commit()


def release(connection: Connection) -> None:
    """Give the lock back."""
    connection.execute(_UNLOCK)
    connection.commit()


def set_lock_timeout(connection: Connection, seconds: float) -> None:
    """Say how long a statement of this session waits for a lock; 0 is for ever."""
    connection.execute(_TIMEOUT, {"milliseconds": str(round(seconds * 1000))})


def is_lock_failure(error: BaseException) -> bool:
    """Whether a statement failed because of another session's lock."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return getattr(original, "sqlstate", None) in _LOCK_FAILURES


def retrying(
    connection: Connection,
    patience: Patience,
    work: Callable[[], T],
    *,
    may_retry: Callable[[], bool],
    say: Callable[[str], None],
) -> T:
    """Do `work`, again when a lock is in its way; from the second time on look at who holds it.

    Args:
        connection: on which `work` begins and ends its transactions.
        patience: how often, and with which pauses.
        work: what to do; whatever it did not commit is rolled back before the next attempt.
        may_retry: whether a failed attempt left nothing behind.
        say: is told of each further attempt.

    Raises:
        SchemaError: the lock was in the way each time; names who holds it.

    """
    seen: tuple[Blocker, ...] = ()
    pid: int | None = None
    attempt = 1
    for attempt in range(1, patience.attempts + 1):
        with ExitStack() as stack:
            watch = stack.enter_context(Watch(connection.engine, pid)) if pid else None
            try:
                return work()
            except DBAPIError as error:
                if not is_lock_failure(error):
                    raise
            connection.rollback()
        seen = (watch.blockers if watch else ()) or seen
        if attempt == patience.attempts or not may_retry():
            break
        pid = connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
        pause = patience.pause_after(attempt)
        say(
            f"a lock is in the way: attempt {attempt + 1} of {patience.attempts} in {pause:.1f} s"
            f"{_held_by(seen)}"
        )
        time.sleep(pause)
    raise SchemaError(
        f"a lock was in the way, {attempt} times for {patience.lock_timeout:g} s each"
        f"{_held_by(seen)}; what was not finished is rolled back: try again when that transaction"
        " has ended, or have an administrator end it with pg_terminate_backend(pid)"
    )


def _held_by(blockers: tuple[Blocker, ...]) -> str:
    return f", held by {'; '.join(map(str, blockers))}" if blockers else ""
