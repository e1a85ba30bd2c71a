"""Read another column of a value's row from the table itself, by the row's primary key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, select

from vaultdb.orm.row_key import row_key_of
from vaultdb.orm.supply import NotSuppliedError, supplied_beside


def looked_up(
    value: ColumnElement[Any],
    bottom: Sequence[Column[Any]],
    wanted: Callable[[Column[Any]], Column[Any]],
) -> ColumnElement[Any] | None:
    """Return a subquery for another column of the row, None when the row cannot be told.

    The ORM wraps a query with LIMIT for joined eager loading into a subquery that selects mapped
    columns only; companions are not mapped, and adopted columns need not be.

    Args:
        value: a column of a FROM element, without label.
        bottom: the tables' columns that supply it, one for each arm of a UNION.
        wanted: tells which column of the table at the bottom is read.

    """
    table = bottom[0].table
    key = row_key_of(table, "row").columns
    try:
        outer = supplied_beside(value, lambda column: row_key_of(column.table).columns)
    except NotSuppliedError:
        return None
    if outer is None or len({column.table for column in bottom}) > 1:
        return None
    inner = table.alias()
    matches = [inner.columns[mine.key] == theirs for mine, theirs in zip(key, outer, strict=True)]
    lookup = select(inner.columns[wanted(bottom[0]).key]).where(*matches)
    return lookup.correlate(value.table).scalar_subquery()
