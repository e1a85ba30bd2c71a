"""What an INSERT or UPDATE gives to encrypted columns: nothing that has not been encrypted.

The write interceptor sees whole statements and encrypts what it finds in them. This looks once more
at what is compiled, for everything that comes by another way: inside of another statement, out of
a lambda, added by an event, or bound with a type that is not the column's and so lets text pass.
"""

# ruff: noqa: SLF001

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import BindParameter, Null
from sqlalchemy.sql.elements import ClauseElement

from vaultdb.errors import StatementRefused
from vaultdb.orm.companion import is_companion
from vaultdb.orm.refusals import positions as at
from vaultdb.orm.refusals.columns import refusal
from vaultdb.orm.types import is_encrypted
from vaultdb.orm.writing import dml

__all__ = ["check_write"]


def check_write(statement: Any, *, nested: bool) -> None:
    """Refuse values for encrypted columns that do not come from the write interceptor.

    Args:
        statement: an INSERT or UPDATE that is being compiled.
        nested: whether it is part of another statement: the interceptor has not seen it.

    Raises:
        StatementRefused: it would send a plaintext to the server.

    """
    for column, value in _written(statement):
        if nested:
            raise refusal(column, at.NESTED_WRITE)
        if not _is_bound_as_its_column(column, value):
            raise StatementRefused(
                f"{column} is encrypted and would be sent as something else: give plain values in "
                "insert(), update() or the Session, without a type of their own"
            )


def _written(statement: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the encrypted columns and the companions that are written, each with its value."""
    columns = statement.table.c
    for name, value in _pairs(statement, list(columns)):
        column = columns.get(name if isinstance(name, str) else getattr(name, "key", None))
        if is_encrypted(column) or is_companion(column):
            yield column, value


def _pairs(statement: Any, columns: list[Any]) -> Iterator[tuple[Any, Any]]:
    yield from dml.inline_pairs(statement)
    yield from ((name, None) for name in dml.select_names(statement))
    for row in dml.value_rows(statement):
        yield from row.items() if isinstance(row, Mapping) else zip(columns, row, strict=False)
    for name, value in dml.conflict_pairs(dml.conflict_clause(statement)) or ():
        is_excluded = getattr(getattr(value, "table", None), "name", None) == "excluded"
        yield name, None if is_excluded else value  # `excluded` is checked where it is rendered


def _is_bound_as_its_column(column: Any, value: Any) -> bool:
    if isinstance(value, BindParameter):  # one without a type gets that of the column
        return value.type._isnull or isinstance(value.type, type(column.type))
    return isinstance(value, Null) or not (
        isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")
    )
