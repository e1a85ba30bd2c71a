"""Run the revisions without a database, and note what SQL they would send from which line."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import BulkInsertOp, ExecuteSQLOp
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import TextClause
from sqlalchemy.exc import CompileError

import vaultdb.alembic.operations  # noqa: F401  # registers the operations
from vaultdb.alembic.lints.finding import Place
from vaultdb.alembic.lints.no_database import NoDatabase


@dataclass(frozen=True, slots=True)
class Sent:
    """Some SQL, and the line of the revision that it came from."""

    sql: str
    place: Place


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one revision would do."""

    revision: str
    path: Path
    sent: tuple[Sent, ...]
    failure: str | None
    """Why not all of it could be noted: a revision may ask a database what to do."""
    failed_at: Place


def record(script: ScriptDirectory) -> Iterator[Recorded]:
    """Run every `upgrade()`, the oldest first."""
    revisions = reversed(list(script.walk_revisions()))
    with EnvironmentContext(Config(), script, as_sql=True):
        for revision in revisions:
            yield _record(revision)


def _record(revision: Script) -> Recorded:
    path = Path(revision.path).resolve()
    sent: list[Sent] = []
    places: list[Place] = [Place(str(path), 1)]

    def note(sql: str) -> None:
        places.append(_place(path) or places[0])
        sent.append(Sent(sql, places[-1]))

    failure = None
    operations = _operations(note)
    operations._install_proxy()  # noqa: SLF001  # what Operations.context() does
    try:
        revision.module.upgrade()
    except Exception as error:  # noqa: BLE001  # whatever somebody's revision raises
        reason = str(error).splitlines() or [""]
        failure = f"{type(error).__name__}: {reason[0]}".rstrip(": ")
        places.append(_raised(error, path) or places[0])
    finally:
        operations._remove_proxy()  # noqa: SLF001
    return Recorded(revision.revision, path, tuple(sent), failure, places[-1])


def _operations(note: Callable[[str], None]) -> Operations:
    options = {"as_sql": True, "literal_binds": True, "output_buffer": io.StringIO()}
    context = MigrationContext.configure(
        dialect_name="postgresql", dialect_opts={"paramstyle": "named"}, opts=options
    )
    implementation: Any = context.impl
    implementation.static_output = note
    implementation.connection = context.connection = NoDatabase(implementation, note)  # type: ignore[assignment]
    operations: Any = Operations(context)
    invoke = operations.invoke

    def careful(operation: MigrateOperation) -> Any:
        if isinstance(operation, BulkInsertOp):
            return None  # rows are no business of the rules
        try:
            return invoke(operation)
        except (CompileError, NotImplementedError):
            if not isinstance(operation, ExecuteSQLOp):
                raise
            note(text_of(operation.sqltext))  # a value that has no literal

    operations.invoke = careful
    return operations  # type: ignore[no-any-return]


def text_of(construct: Any) -> str:
    """Return the SQL of a statement whose parameters do not matter."""
    if isinstance(construct, TextClause):
        return construct.text
    return str(construct)


def _place(path: Path) -> Place | None:
    """Return the line of the revision that is running."""
    frame = sys._getframe(1)  # noqa: SLF001  # the stack is where the line is
    while frame is not None:
        if _is_file(frame.f_code.co_filename, path):
            return Place(str(path), frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _raised(error: BaseException, path: Path) -> Place | None:
    found, traceback = None, error.__traceback__
    while traceback is not None:
        if _is_file(traceback.tb_frame.f_code.co_filename, path):
            found = Place(str(path), traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def _is_file(name: str, path: Path) -> bool:
    return name.endswith(path.name) and Path(name).resolve() == path
