"""`autocommit_block` in a migration: patient with old transactions, and refused in a plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vaultdb.alembic import lock
from vaultdb.errors import SchemaError

if TYPE_CHECKING:
    from vaultdb.alembic.session import Session


class NotInTransactionError(SchemaError):
    """A revision uses `autocommit_block`, which a plan cannot roll back."""

    def __init__(self) -> None:
        super().__init__("it uses autocommit_block, which cannot run in a transaction")


def guard_autocommit(migration: Any, session: Session) -> None:
    """Note that a revision commits by itself, and let it wait for locks without a limit.

    `CREATE INDEX CONCURRENTLY` waits for every older transaction by design, and keeps nobody out
    meanwhile; stopped by a timeout it leaves an invalid index behind.
    """
    original = migration.autocommit_block

    @contextmanager
    def autocommit_block() -> Iterator[None]:
        if session.is_preview:
            raise NotInTransactionError
        session.has_committed = True
        with original():
            lock.set_lock_timeout(session.connection, 0)
            try:
                yield
            finally:
                lock.set_lock_timeout(session.connection, session.patience.lock_timeout)

    migration.autocommit_block = autocommit_block
