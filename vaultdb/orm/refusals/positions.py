"""The places in a statement where an encrypted column cannot stand, and what to do instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "AGGREGATE_ORDER",
    "CASE",
    "CAST",
    "COLUMN_LIST",
    "COMPARISON",
    "CONFLICT",
    "DISTINCT",
    "DISTINCT_ON",
    "EXPRESSION",
    "GROUP_BY",
    "INSERT_FROM_SELECT",
    "IN_SUBQUERY",
    "JOIN_ON",
    "NESTED_WRITE",
    "ORDER_BY",
    "SCALAR_SUBQUERY",
    "SET",
    "TEXT",
    "WHOLE_ROW",
    "WINDOW",
    "Position",
    "function",
    "set_operation",
]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a statement, in words, and the remedy for an encrypted column found there."""

    words: str
    remedy: str


_IN_PYTHON: Final = "select the column itself and compute in Python"
_INDEX: Final = "declare the column with index=Equality() and compare it with == or in_()"

ORDER_BY: Final = Position(
    "in ORDER BY", "sort the loaded rows in Python, or order by a column that is not encrypted"
)
GROUP_BY: Final = Position(
    "in GROUP BY", "group by the primary key or by a column that is not encrypted"
)
DISTINCT: Final = Position(
    "under DISTINCT without its key",
    "select the primary key too, or remove duplicates in Python",
)
DISTINCT_ON: Final = Position(
    "in DISTINCT ON", "name the primary key or a column that is not encrypted there"
)
WINDOW: Final = Position(
    "in a window (OVER, PARTITION BY)", "partition and order by columns that are not encrypted"
)
AGGREGATE_ORDER: Final = Position(
    "in the ORDER BY of an aggregate", "order by a column that is not encrypted"
)
CASE: Final = Position("in CASE", _IN_PYTHON)
CAST: Final = Position("in a cast", _IN_PYTHON)
COLUMN_LIST: Final = Position("in an expression of the column list", _IN_PYTHON)
EXPRESSION: Final = Position("in a condition or an expression", _INDEX)
COMPARISON: Final = Position("as an operand", _INDEX)
JOIN_ON: Final = Position(
    "in the ON of a join",
    "declare both columns with index=Equality(domain=...) in one domain and compare them with ==",
)
IN_SUBQUERY: Final = Position(
    "in the column list of IN (SELECT ...)",
    "select the primary key there, or join on columns of one index domain",
)
SCALAR_SUBQUERY: Final = Position(
    "as the result of a scalar subquery",
    "join the table and select the column together with its primary key",
)
INSERT_FROM_SELECT: Final = Position(
    "in INSERT FROM SELECT",
    "load the rows and insert them, so that each value is encrypted for its new row",
)
SET: Final = Position(
    "on the right of SET",
    "load the row and assign the attribute, so that the value is encrypted for its place",
)
CONFLICT: Final = Position(
    "in ON CONFLICT", "name the primary key, and set encrypted columns from excluded or a value"
)
NESTED_WRITE: Final = Position(
    "in an INSERT or UPDATE inside another statement", "execute the write as one of its own"
)
TEXT: Final = Position(
    "in the result of a textual statement",
    "put vaultdb.columns(Model) into the text, which selects the values with their keys",
)
WHOLE_ROW: Final = Position("as part of a whole row", "name the columns that you need")


def function(name: str) -> Position:
    """Return the position of an argument of the SQL function `name`."""
    return Position(f"in the function {name}()", _IN_PYTHON)


def set_operation(keyword: str) -> Position:
    """Return the position of a column of a UNION, INTERSECT or EXCEPT without its key."""
    return Position(
        f"under {keyword} without its key",
        "select the primary key in every member, or use UNION ALL",
    )
