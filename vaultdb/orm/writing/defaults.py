"""Defaults that the interceptor evaluates itself, each once per row.

Those of encrypted columns, since a value has to be encrypted before SQLAlchemy would ask for it;
those of key columns, since values are bound to them; and context-sensitive ones of other columns,
which would otherwise be shown ciphertexts among the current parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vaultdb.errors import StatementRefused

if TYPE_CHECKING:
    from sqlalchemy import Column
    from sqlalchemy.engine import Connection

    from vaultdb.orm.writing.write import Row, Write


class DefaultContext:
    """What a context-sensitive default function gets: the row so far, in plaintext.

    It has the documented part of SQLAlchemy's execution context, and works before there is one.
    """

    __slots__ = ("connection", "current_column", "current_parameters", "isinsert")

    def __init__(
        self,
        connection: Connection | None,
        column: Column[Any],
        row: Row,
        *,
        isinsert: bool,
    ) -> None:
        self.connection = connection
        self.current_column = column
        self.current_parameters = row
        self.isinsert = isinsert

    @property
    def isupdate(self) -> bool:
        """Whether the default is an onupdate."""
        return not self.isinsert

    @property
    def dialect(self) -> Any:
        """The dialect of the connection."""
        return None if self.connection is None else self.connection.dialect

    @property
    def engine(self) -> Any:
        """The engine of the connection."""
        return None if self.connection is None else self.connection.engine

    def get_current_parameters(self, *, isolate_multiinsert_groups: bool = True) -> Row:
        """Return a copy of the row's values by column key."""
        del isolate_multiinsert_groups  # a row here is always one row
        return dict(self.current_parameters)


def evaluate(
    default: Any, column: Column[Any], row: Row, connection: Connection | None, *, isinsert: bool
) -> Any:
    """Evaluate a Python-side default or onupdate."""
    if default.is_scalar:
        return default.arg
    return default.arg(DefaultContext(connection, column, row, isinsert=isinsert))


def is_python_side(default: Any) -> bool:
    """Return whether a default is a value or a function, not SQL."""
    return default is not None and bool(default.is_scalar or default.is_callable)


def takes_context(default: Any) -> bool:
    """Return whether a default is a function that is shown the current parameters."""
    if default is None or not default.is_callable:
        return False
    # SQLAlchemy wraps functions without a parameter and keeps the original in __wrapped__.
    return not hasattr(default.arg, "__wrapped__") and _has_parameter(default.arg)


def _has_parameter(function: Any) -> bool:
    try:
        return bool(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return True


def fill_in(write: Write, rows: Sequence[Row], columns: Sequence[Column[Any]]) -> None:
    """Evaluate the defaults or onupdates of these columns for each row."""
    isinsert = bool(write.statement.is_insert)
    for column in columns:
        default = column.default if isinsert else column.onupdate
        if not is_python_side(default):
            raise StatementRefused(
                f"{column} is encrypted, so its default cannot be SQL; use a value or a function"
            )
        key = column.key
        for row in rows:
            row[key] = evaluate(default, column, row, write.connection, isinsert=isinsert)
