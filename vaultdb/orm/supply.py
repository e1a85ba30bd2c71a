"""Find, beside a selected column, other columns of the very row it comes from.

A value may pass through aliases, subqueries and CTEs before it is selected, and the same table may
be there several times. So its key is looked for one level at a time, through the FROM element that
supplies the value, and never by the table at the bottom, which may supply many rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Cast, Column, ColumnElement, CompoundSelect, Label, Null, Table, TypeCoerce
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.selectable import (
    AliasedReturnsRows,
    FromClause,
    SelectBase,
    SelectStatementGrouping,
)

Wanted = Callable[[Column[Any]], Sequence[ColumnElement[Any]]]
"""Given a table's column at the bottom: which columns of that table are looked for."""


class NotSuppliedError(LookupError):
    """A wanted column is not there; the argument is the column as the inner query knows it."""


def supplied_beside(
    column: ColumnElement[Any], wanted: Wanted
) -> Sequence[ColumnElement[Any]] | None:
    """Return columns of the FROM element of `column` that come from the same row as it.

    Args:
        column: a column of a FROM element, without label.
        wanted: tells which columns of the table at the bottom are looked for; asked once for each
            arm of a UNION.

    Returns:
        The columns, or None when the value is a constant NULL.

    Raises:
        NotSuppliedError: an inner query does not select a wanted column, or there is no table.

    """
    source: Any = getattr(column, "table", None)
    if isinstance(source, Table):
        return wanted(source.columns[column.key])
    if not isinstance(source, AliasedReturnsRows):
        raise NotSuppliedError(column)
    outer = list(source.c)
    places = _places(source.element, _place(column, outer), len(outer), wanted)
    return None if places is None else [outer[min(candidates)] for candidates in places]


def bare(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Take labels and parentheses off."""
    inner: Any = column
    while isinstance(inner, Label | Grouping):
        inner = inner.element
    bottom: ColumnElement[Any] = inner
    return bottom


def is_null_constant(column: ColumnElement[Any]) -> bool:
    """Tell whether a column of a query is NULL in every row."""
    column = bare(column)
    while isinstance(column, Cast | TypeCoerce):
        column = bare(column.clause)
    return isinstance(column, Null)


def _places(element: Any, place: int, width: int, wanted: Wanted) -> list[set[int]] | None:
    """Return for each wanted column where `element` lists it; None if the value is always NULL."""
    if isinstance(element, SelectStatementGrouping):
        return _places(element.element, place, width, wanted)
    if isinstance(element, CompoundSelect):
        return _common([_places(arm, place, width, wanted) for arm in element.selects])
    if isinstance(element, SelectBase):
        listed = list(element.selected_columns)
    elif isinstance(element, FromClause):
        listed = list(element.c)
    else:
        raise NotSuppliedError(element)
    if len(listed) != width:
        raise NotSuppliedError(element)
    value = bare(listed[place])
    inner = None if is_null_constant(value) else supplied_beside(value, wanted)
    return None if inner is None else [_all_places(needed, listed) for needed in inner]


def _common(arms: Sequence[list[set[int]] | None]) -> list[set[int]] | None:
    """Find the places where every arm of a UNION lists the wanted column."""
    answers = [arm for arm in arms if arm is not None]
    if not answers:
        return None
    common = [set.intersection(*candidates) for candidates in zip(*answers, strict=True)]
    if not all(common):
        raise NotSuppliedError(None)
    return common


def _place(column: ColumnElement[Any], listed: Sequence[ColumnElement[Any]]) -> int:
    return min(_all_places(column, listed))


def _all_places(needed: ColumnElement[Any], listed: Sequence[ColumnElement[Any]]) -> set[int]:
    # The ORM annotates columns: such a copy hashes like its original, and == would build SQL.
    places = {i for i, column in enumerate(listed) if hash(bare(column)) == hash(needed)}
    if not places:
        raise NotSuppliedError(needed)
    return places
