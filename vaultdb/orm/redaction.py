"""Take values out of errors and logs: SQLAlchemy and psycopg would show more than ciphertext.

PostgreSQL repeats parameters in messages (`invalid input syntax for type integer: "..."`), in
DETAIL and in CONTEXT; SQLAlchemy keeps them in `.params` and prints rows under `echo="debug"`. The
original error stays in the chain of the one that is raised, so it is rewritten where it is.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg
from psycopg.pq import DiagnosticField
from sqlalchemy import Row, event
from sqlalchemy.exc import DBAPIError, StatementError

from vaultdb.errors import VaultDBError

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect, Engine, ExceptionContext

__all__ = ["install_redaction", "redacted"]

WITHHELD: Final = "values are withheld"

# In these SQLSTATE classes the primary message of PostgreSQL holds identifiers, never values:
# connection, constraint, transaction state, authorisation, rollback, syntax and access rule,
# resources, limits, object state, operator intervention, system.
_VALUE_FREE_CLASSES: Final = frozenset(
    {"08", "23", "25", "28", "40", "42", "53", "54", "55", "57", "58"}
)
_NAMES: Final = {
    DiagnosticField.SCHEMA_NAME: "schema",
    DiagnosticField.TABLE_NAME: "table",
    DiagnosticField.COLUMN_NAME: "column",
    DiagnosticField.DATATYPE_NAME: "type",
    DiagnosticField.CONSTRAINT_NAME: "constraint",
}
_KEPT: Final = (
    DiagnosticField.SEVERITY,
    DiagnosticField.SEVERITY_NONLOCALIZED,
    DiagnosticField.SQLSTATE,
    DiagnosticField.STATEMENT_POSITION,
    *_NAMES,
)


def install_redaction(engine: Engine) -> None:
    """Make errors and logs of `engine` free of values; a second call changes nothing.

    Parameters are left out of the log too (`hide_parameters`), and the rows that `echo="debug"`
    shows have their encrypted columns covered. A traceback printer that shows local variables is
    out of reach.
    """
    engine.hide_parameters = True
    if not event.contains(engine, "handle_error", _redact):
        event.listen(engine, "handle_error", _redact, retval=True)
    logger = engine.logger
    logger = logger if isinstance(logger, logging.Logger) else logger.logger
    if not any(isinstance(each, _CoverRows) for each in logger.filters):
        logger.addFilter(_CoverRows())


def _redact(context: ExceptionContext) -> BaseException | None:
    original = context.original_exception
    for error in _chain(original):
        if isinstance(error, psycopg.Error):
            _rewrite(error)
    wrapper = context.sqlalchemy_exception
    if isinstance(wrapper, StatementError):
        wrapper.params = None
        wrapper.hide_parameters = True
    if isinstance(wrapper, DBAPIError):
        kind = type(original)
        wrapper.args = (f"({kind.__module__}.{kind.__qualname__}) {original}",)
    if isinstance(original, VaultDBError) and wrapper is not None:
        # SQLAlchemy raises it `from original`: the same object would become its own cause
        return copy.copy(original)
    return None


def redacted(error: psycopg.Error, statement: str, dialect: Dialect) -> DBAPIError:
    """Return SQLAlchemy's error for one of psycopg's that did not pass SQLAlchemy, without values.

    Args:
        error: rewritten where it is.
        statement: the SQL, without values.
        dialect: of the engine.

    """
    for each in _chain(error):
        if isinstance(each, psycopg.Error):
            _rewrite(each)
    wrapped: Any = DBAPIError.instance(
        statement,
        None,
        error,
        psycopg.Error,
        hide_parameters=True,
        connection_invalidated=_is_disconnect(dialect, error),
        dialect=dialect,
    )
    return cast("DBAPIError", wrapped)


def _is_disconnect(dialect: Any, error: psycopg.Error) -> bool:
    return bool(dialect.is_disconnect(error, None, None))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            pending += [current.__cause__, current.__context__]


def _rewrite(error: psycopg.Error) -> None:
    """Leave the SQLSTATE and the names of a PostgreSQL error, and drop everything else."""
    diag = error.diag
    if diag.sqlstate is None:
        return  # raised by the client: its messages hold no values
    fields = {field: _field(error, field) for field in _KEPT}
    message = _message(error)
    fields[DiagnosticField.MESSAGE_PRIMARY] = message
    info = {int(field): text.encode() for field, text in fields.items() if text is not None}
    psycopg.Error.__init__(error, message, info=info, encoding="utf-8", pgconn=None)  # type: ignore[arg-type]


def _field(error: psycopg.Error, field: DiagnosticField) -> str | None:
    value: str | None = getattr(error.diag, field.name.lower())
    return value


def _message(error: psycopg.Error) -> str:
    sqlstate = error.diag.sqlstate or ""
    primary = error.diag.message_primary or ""
    if WITHHELD in primary:
        return primary  # rewritten before: one error can pass twice
    names = [f"{word} {value}" for field, word in _NAMES.items() if (value := _field(error, field))]
    if sqlstate[:2] not in _VALUE_FREE_CLASSES:
        primary = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    return f"{primary} [{', '.join([f'sqlstate {sqlstate}', *names])}; {WITHHELD}]"


class _CoverRows(logging.Filter):
    """Cover decrypted values in the rows that SQLAlchemy logs under `echo="debug"`."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_covered(argument) for argument in record.args)
        return True


def _covered(argument: Any) -> Any:
    row = getattr(argument, "row", None)  # SQLAlchemy hands a lazy wrapper with the row inside
    return _CoveredRow(row) if isinstance(row, Row) else argument


class _CoveredRow:
    """The repr of a row, without the values that vaultdb decrypted."""

    def __init__(self, row: Row[Any]) -> None:
        self._row = row

    def __repr__(self) -> str:
        processors = getattr(getattr(self._row, "_parent", None), "_processors", None)
        if processors is None or len(processors) != len(self._row):
            return f"(<{len(self._row)} values>)"
        shown = [
            "<decrypted>" if _decrypts(processor) else repr(value)
            for value, processor in zip(self._row, processors, strict=True)
        ]
        return f"({', '.join(shown)})"


def _decrypts(processor: Any) -> bool:
    return getattr(processor, "__module__", "").startswith("vaultdb.")
