"""ORDER BY and GROUP BY in text: what can be told without parsing SQL.

`order_by(text("name DESC"))` is common and would sort by ciphertext without a word. Names and
positions are recognised; a text that computes is the application's own SQL.
"""

# ruff: noqa: SLF001
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnClause, TextClause

from vaultdb.orm.refusals.columns import refusal
from vaultdb.orm.refusals.positions import Position
from vaultdb.orm.types import is_encrypted

__all__ = ["check_text_order"]

_TERM = re.compile(
    r'(?:.*?(?P<table>\w+)"?\s*\.\s*)?(?:"(?P<quoted>[^"]+)"|(?P<name>\w+))'
    r"(?:\s+(?:asc|desc))?(?:\s+nulls\s+(?:first|last))?",
    re.IGNORECASE,
)


def check_text_order(select: Any, clauses: Sequence[Any], position: Position) -> None:
    """Refuse textual terms that name an encrypted column, or its place in the list."""
    for text in _texts(clauses):
        for term in text.split(","):
            match = _TERM.fullmatch(term.strip())
            if match is not None:
                name = match["quoted"] or match["name"]
                for column in _named(select, name, match["table"]):
                    if is_encrypted(column):
                        raise refusal(column, position)


def _texts(clauses: Sequence[Any]) -> Iterator[str]:
    for clause in clauses:
        element = clause
        while not isinstance(element, TextClause | ColumnClause) and hasattr(element, "element"):
            element = element.element  # desc(), label references
        if isinstance(element, TextClause):
            yield element.text
        elif isinstance(element, ColumnClause) and element.is_literal:
            yield element.name


def _named(select: Any, name: str, table: str | None) -> list[Any]:
    """Return what the server would take a name for: of the list first, then of any FROM."""
    listed = list(select._all_selected_columns)
    if name.isdigit():
        return listed[int(name) - 1 : int(name)]
    if table is None:
        found = [column for column in listed if getattr(column, "name", None) == name]
        if found:
            return found
    return [
        column
        for column in _columns_below(select)
        if column.name == name and table in (None, getattr(column.table, "name", None))
    ]


def _columns_below(select: Any) -> Iterator[Any]:
    """Yield the columns of every FROM element; a compound sorts by its own list only."""
    froms = select.get_final_froms() if hasattr(select, "get_final_froms") else ()
    for source in froms:
        for part in source._from_objects:
            yield from getattr(part, "c", ())
