"""Finding the columns that a declaration names."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper

from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Column, Table

_SHOWN = 20
"""Names in an error's text."""


def column_named(table: Table, name: str, argument: str, target: object = None) -> Column[Any]:
    """Return the column of a table that a declaration names.

    Args:
        table: the table.
        name: the column's name in the database, its key, or the attribute of the mapped class.
        argument: where the name was given, for the error's text.
        target: the mapped class, if one was given.

    Raises:
        ConfigurationError: there is no such column; names those that there are.

    """
    known = {column.name: column for column in table.columns}
    for key, column in (*table.columns.items(), *_attributes(table, target)):
        known.setdefault(key, column)
    if name in known:
        return known[name]
    raise ConfigurationError(
        f"{argument} names {name!r}, which is no column of {table.fullname}: "
        + _hint(str(name), list(dict.fromkeys(column.name for column in table.columns)))
    )


def names_in(
    table: Table, names: Collection[str], argument: str, target: object = None
) -> tuple[str, ...]:
    """Return the names in the database of the columns that a declaration names; see above.

    Raises:
        ConfigurationError: there is no such column, or a string is given for a collection.

    """
    if isinstance(names, str):
        raise ConfigurationError(
            f"{argument} takes a collection of names: write [{names!r}] for one column"
        )
    return tuple(dict.fromkeys(column_named(table, name, argument, target).name for name in names))


def _attributes(table: Table, target: object) -> list[tuple[str, Column[Any]]]:
    """Return the mapped attributes that are a column of the table."""
    mapper: Any = inspect(target, raiseerr=False)
    if not isinstance(mapper, Mapper):
        return []
    # Not mapper.column_attrs, which would configure all mappers now.
    found = mapper.columns.items()
    return [(key, column) for key, column in found if getattr(column, "table", None) is table]


def _hint(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    if not known:
        return "it has none"
    more = ", …" if len(known) > _SHOWN else ""
    return f"it has {', '.join(known[:_SHOWN])}{more}"
