"""Verify found values: a statement that searches by an index reads the index value back.

Whoever can write to the table can swap two index values, and `WHERE email = :victim` finds
another row. So when a statement mentions the companion of a column that it also returns, the index
value of each row comes along, and reading recomputes it from the decrypted value.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ColumnElement
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler

from vaultdb.errors import StatementRefused
from vaultdb.orm.companion import companion_of, is_companion
from vaultdb.orm.lookup import looked_up
from vaultdb.orm.stored_types import IndexValue
from vaultdb.orm.supply import NotSuppliedError, supplied_beside

if TYPE_CHECKING:
    from vaultdb.orm.bound_value import BoundValue

_SEARCHED = "_vaultdb_searched"


def companion_to_verify(element: BoundValue, compiler: SQLCompiler) -> ColumnElement[Any] | None:
    """Return the expression for the row's index value, or None when nothing searches by it.

    Raises:
        StatementRefused: an inner query keeps the index value back, and the row's key too.

    """
    if element.encrypted.index is None:
        return None
    bottom: list[Column[Any]] = []
    supplied = _supplied(element, bottom)
    searched = _searched(compiler)
    if not any(companion_of(column) in searched for column in bottom):
        return None
    return supplied if supplied is not None else _looked_up(element, bottom)


def _supplied(element: BoundValue, bottom: list[Column[Any]]) -> ColumnElement[Any] | None:
    def wanted(column: Column[Any]) -> list[Column[Any]]:
        bottom.append(column)
        return [_companion(column)]

    try:
        found = supplied_beside(element.value, wanted)
    except NotSuppliedError:
        return None
    return found[0] if found else None


def _looked_up(element: BoundValue, bottom: list[Column[Any]]) -> ColumnElement[Any]:
    found = looked_up(element.value, bottom, _companion)
    if found is None:
        raise StatementRefused(
            f"{element.value} was searched for by its index, which the inner query does not "
            f"select: select {companion_of(bottom[0])} beside it, so that it can be verified"
        )
    return found


def _companion(column: Column[Any]) -> Column[Any]:
    companion = companion_of(column)
    assert companion is not None
    return companion


def _searched(compiler: SQLCompiler) -> set[Column[Any]]:
    """Return the companions that the outermost statement mentions; found once per compilation."""
    state = vars(compiler)
    if _SEARCHED not in state:
        outermost = compiler.stack[0]["selectable"] if compiler.stack else None
        state[_SEARCHED] = set() if outermost is None else set(_companions(outermost))
    searched: set[Column[Any]] = state[_SEARCHED]
    return searched


def _companions(statement: Any) -> Iterable[Column[Any]]:
    for element in visitors.iterate(statement):
        if isinstance(getattr(element, "type", None), IndexValue):
            bases: Any = getattr(element, "base_columns", ())
            yield from (base for base in bases if is_companion(base))
