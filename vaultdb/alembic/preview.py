"""Apply what is pending in one transaction, look at what it does, and roll it back.

Its locks are real for as long as it takes: on a busy database, preview on a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, event

from vaultdb.alembic import facts, runner
from vaultdb.alembic.autocommit import NotInTransactionError
from vaultdb.alembic.session import Session, Step
from vaultdb.alembic.table_locks import LockWatch, TableLock

if TYPE_CHECKING:
    from vaultdb.alembic.trees import Tree
    from vaultdb.roles.fact import Fact

_SILENT = frozenset({"SELECT", "SET", "RESET", "SHOW", "SAVEPOINT", "RELEASE", "ROLLBACK", "WITH"})
"""First words of statements that change nothing, as far as a first word can tell."""

_BOOKKEEPING = "alembic_version"


@dataclass(frozen=True, slots=True)
class Planned:
    """What one revision would do."""

    tree: str
    revision: str
    title: str
    statements: tuple[str, ...]
    locks: tuple[TableLock, ...]


@dataclass(frozen=True, slots=True)
class Stopped:
    """A revision that a plan cannot run, so neither what comes after it."""

    tree: str
    revision: str


@dataclass(slots=True)
class Preview:
    """What an upgrade would do."""

    revisions: list[Planned] = field(default_factory=list)
    stopped: Stopped | None = None
    gained: list[Fact] = field(default_factory=list)
    """What would become true about access."""
    lost: list[Fact] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is pending."""
        return not self.revisions and self.stopped is None


def preview(session: Session, *, realm: UUID, app: Tree | None, only: str | None = None) -> Preview:
    """Return what `runner.upgrade` would do; the database is as before.

    Raises:
        SchemaError: a revision fails, another realm, or a lock is in the way.
        ConfigurationError: a tree that cannot be run.

    """
    connection = session.connection
    if app is not None and only != "vaultdb":
        runner.examine(session, app, lambda _heads, _migration: None)
    connection.rollback()
    schemas = facts.schemas_of(
        [session.metadata] if session.metadata is not None else [],
        connection.dialect.default_schema_name or "public",
    )
    session.is_preview = True
    found = Preview()
    transaction = connection.begin()
    try:
        before = facts.of(connection, schemas, session.names)
        with _collecting(session, found):
            try:
                runner.upgrade(session, realm=realm, app=app, only=only)
            except NotInTransactionError:
                found.stopped = Stopped(session.tree, session.running or "")
        after = facts.of(connection, schemas, session.names)
    finally:
        transaction.rollback()
        session.is_preview = False
    found.gained, found.lost = sorted(after - before), sorted(before - after)
    return found


@contextmanager
def _collecting(session: Session, found: Preview) -> Iterator[None]:
    """Collect statements and locks of each revision into `found`."""
    connection = session.connection
    locks = LockWatch(connection)
    statements: list[str] = []

    def executed(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if session.running and _changes_something(statement):
            statements.append(statement.strip())

    def ended(step: Step) -> None:
        taken = locks.taken()
        planned = Planned(step.tree, step.revision, step.title, tuple(statements), taken)
        found.revisions.append(planned)
        statements.clear()

    session.ended = ended
    event.listen(connection, "before_cursor_execute", executed)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", executed)


def _changes_something(statement: str) -> bool:
    words = statement.split(None, 1)
    return bool(words) and words[0].upper() not in _SILENT and _BOOKKEEPING not in statement
