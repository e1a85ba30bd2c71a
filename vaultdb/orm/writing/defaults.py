"""Defaults that the interceptor evaluates itself, each once per row.

Those of encrypted columns, since a value has to be encrypted before SQLAlchemy would ask for it;
those of key columns, since values are bound to them; and all others where one is context-sensitive,
which would otherwise be shown ciphertexts among the current parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
        connection: Connection,
        column: Column[Any],
        *,
        isinsert: bool,
    ) -> None:
        self.connection = connection
        self.current_column = column
        self.current_parameters: Row = {}
        self.isinsert = isinsert

    @property
    def isupdate(self) -> bool:
        """Whether the default is an onupdate."""
        return not self.isinsert

    @property
    def dialect(self) -> Any:
        """The dialect of the connection."""
        return self.connection.dialect

    @property
    def engine(self) -> Any:
        """The engine of the connection."""
        return self.connection.engine

    def get_current_parameters(self, *, isolate_multiinsert_groups: bool = True) -> Row:
        """Return a copy of the row's values by column key."""
        del isolate_multiinsert_groups  # a row here is always one row
        return dict(self.current_parameters)


def evaluate(default: Any, context: DefaultContext) -> Any:
    """Evaluate a Python-side default or onupdate for the context's row."""
    return default.arg if default.is_scalar else default.arg(context)


def is_python_side(default: Any) -> bool:
    """Return whether a default is a value or a function, not SQL."""
    return default is not None and bool(default.is_scalar or default.is_callable)


def takes_context(default: Any) -> bool:
    """Return whether a default is a function that is shown the current parameters."""
    if default is None or not default.is_callable:
        return False
    # SQLAlchemy puts a function of its own around those that take no parameter.
    module = getattr(default.arg, "__globals__", {}).get("__name__")
    return bool(module != type(default).__module__)


def fill_in(write: Write, rows: Sequence[Row], columns: Sequence[Column[Any]]) -> None:
    """Evaluate the defaults or onupdates of these columns for each row, in the table's order."""
    isinsert = bool(write.statement.is_insert)
    wanted = {column.key: column for column in columns}
    for column in [wanted[key] for key in write.table.table.c.keys() if key in wanted]:  # noqa: SIM118
        default: Any = column.default if isinsert else column.onupdate
        key = column.key
        if default.is_scalar:
            for row in rows:
                row[key] = default.arg
            continue
        function = default.arg
        context = DefaultContext(write.connection, column, isinsert=isinsert)
        for row in rows:
            context.current_parameters = row
            row[key] = function(context)
