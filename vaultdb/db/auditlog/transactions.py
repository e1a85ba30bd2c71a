"""Following the transactions of an engine: their events are written just before they commit.

SQLAlchemy's events tell neither a savepoint's name nor whether a COMMIT succeeded, and none is
sent when a pool resets a connection. All of it passes the dialect.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from vaultdb.db.auditlog.pending import find_pending, forget_pending, pending_of

_FOLLOWED = "_vaultdb_audit_followed"


def follow_transactions(dialect: Any) -> None:
    """Have an engine's dialect write the log with each COMMIT; a second call changes nothing.

    Args:
        dialect: of the engine alone, on psycopg, sync or async.

    """
    if getattr(dialect, _FOLLOWED, False):
        return
    setattr(dialect, _FOLLOWED, True)
    for name, around in _AROUND.items():
        setattr(dialect, name, partial(around, getattr(dialect, name)))


def _commit(commit: Callable[[Any], None], lent: Any) -> None:
    _write(lent, partial(commit, lent))


def _rollback(rollback: Callable[[Any], None], lent: Any) -> None:
    forget_pending(lent)
    rollback(lent)


def _savepoint(savepoint: Callable[[Any, str], None], connection: Any, name: str) -> None:
    savepoint(connection, name)
    pending_of(connection.connection).savepoint(name)


def _rollback_to(rollback: Callable[[Any, str], None], connection: Any, name: str) -> None:
    if (pending := find_pending(connection.connection)) is not None:
        pending.roll_back_to(name)
    rollback(connection, name)


def _release(release: Callable[[Any, str], None], connection: Any, name: str) -> None:
    release(connection, name)
    if (pending := find_pending(connection.connection)) is not None:
        pending.release(name)


def _prepare(prepare: Callable[[Any, Any], None], connection: Any, xid: Any) -> None:
    """Write the events with the first phase, on a chain that ends there.

    Whether they stay is decided later, and perhaps by another process.
    """
    _write(connection.connection, partial(prepare, connection, xid), is_final=False)


def _commit_prepared(
    commit: Callable[..., None],
    connection: Any,
    xid: Any,
    is_prepared: bool = True,
    recover: bool = False,
) -> None:
    work = partial(commit, connection, xid, is_prepared, recover)
    if is_prepared:
        work()
    else:
        _commit(lambda _lent: work(), connection.connection)


def _rollback_prepared(rollback: Callable[..., None], connection: Any, *arguments: Any) -> None:
    forget_pending(connection.connection)
    rollback(connection, *arguments)


def _write(lent: Any, commit: Callable[[], None], *, is_final: bool = True) -> None:
    """Commit with the events; afterwards the transaction has ended in any case."""
    pending = find_pending(lent)
    forget_pending(lent)  # some releases of SQLAlchemy commit a second phase through do_commit
    if pending is None or pending.committer is None or not pending.events:
        commit()
    else:
        pending.committer.commit_with(lent, pending.events, commit, is_final=is_final)


_AROUND: dict[str, Callable[..., None]] = {
    "do_commit": _commit,
    "do_rollback": _rollback,
    "do_savepoint": _savepoint,
    "do_rollback_to_savepoint": _rollback_to,
    "do_release_savepoint": _release,
    "do_prepare_twophase": _prepare,
    "do_commit_twophase": _commit_prepared,
    "do_rollback_twophase": _rollback_prepared,
}
