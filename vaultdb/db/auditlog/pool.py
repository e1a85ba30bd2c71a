"""The log's own connections: few, in autocommit, on the primary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, QueuePool, event
from sqlalchemy.exc import DisconnectionError

from vaultdb.after_fork import reset_in_children
from vaultdb.db.connect import new_engine
from vaultdb.db.deadline import give_up_after
from vaultdb.db.failures import plain_failures
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.login.pooled import is_cut
from vaultdb.db.primary import on_primary
from vaultdb.errors import AuditUnavailable, VaultDBError
from vaultdb.settings import Settings

CONNECTIONS = 4
"""Connections of the log at most. Whoever gets one writes what all others wait for, so more of
them only help a disk that is slow to commit."""
ANSWER_TIMEOUT = 10.0
"""Seconds for one answer, as the key table has; who reads or writes waits for it."""


class LogPool:
    """Connections for the log alone: what the caller's session does or fails at does not matter.

    Args:
        settings: nothing is opened before the first use.
        credentials: share these with an engine; the caller closes them.

    """

    def __init__(self, settings: Settings, credentials: Credentials | None = None) -> None:
        self.is_shared = settings.database.pooler != "none"
        """Whether a pooler lends each transaction any session that it has."""
        self._engine = new_engine(
            on_primary(settings),
            credentials=credentials,
            isolation_level="AUTOCOMMIT",
            poolclass=QueuePool,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_use_lifo=True,
            pool_timeout=ANSWER_TIMEOUT,
            pool_reset_on_return=None,  # nothing is left open, and it takes a while
        )
        give_up_after(self._engine, ANSWER_TIMEOUT)
        event.listen(self._engine, "connect", self._may_write)
        event.listen(self._engine, "checkout", _refuse_cut)
        reset_in_children(self)

    @property
    def engine(self) -> Engine:
        """The engine underneath."""
        return self._engine

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """Lend psycopg's connection, in autocommit; one that broke is not used again.

        Raises:
            psycopg.Error, SQLAlchemyError, VaultDBError: there is none to be had.

        """
        lent = self._engine.raw_connection()
        try:
            yield lent.driver_connection
        except BaseException:
            lent.invalidate()
            raise
        finally:
            lent.close()

    def _may_write(self, connection: Any, _record: Any) -> None:
        # Logins of readers, of the auditor and of backups are read-only unless they say otherwise.
        if self.is_shared:
            connection.read_only = False  # said at the beginning of each transaction
            return
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET default_transaction_read_only = off")
        except BaseException:
            connection.close()  # SQLAlchemy's pool leaves it to the garbage collector
            raise

    def close(self) -> None:
        """Close the connections; a later use opens others."""
        self._engine.dispose()

    def reset_after_fork(self) -> None:
        """Leave the parent's connections to the parent: a child that used one would break it."""
        self._engine.dispose(close=False)


@contextmanager
def log_failures() -> Iterator[None]:
    """Turn every failure to write the log into one, which says what to do."""
    try:
        with plain_failures("write the audit log", unavailable=AuditUnavailable):
            yield
    except AuditUnavailable:
        raise
    except VaultDBError as error:
        text = str(error)
        failure = AuditUnavailable(
            text if "audit log" in text else f"cannot write the audit log: {text}"
        )
    else:
        return
    raise failure


def _refuse_cut(_dbapi: Any, record: Any, _proxy: Any) -> None:
    # Not by a ping, which would be a second round trip for each read.
    if is_cut(record.driver_connection):
        raise DisconnectionError("the server has ended this connection")
