"""Which row an UPDATE writes to: the key that its WHERE names.

Only `key column = bind` counts, on the target table itself, among the terms that a top-level AND
joins. Such a term holds for every row that is written; more terms can only leave rows out. Anything
else (OR, IN, an alias, a subquery, a function) is not recognised, and what is not recognised pins
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import TypeDecorator
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList, Grouping

from vaultdb.errors import StatementRefused
from vaultdb.orm.key_columns import keeps_values
from vaultdb.orm.writing import dml
from vaultdb.orm.writing.values import MISSING

if TYPE_CHECKING:
    from vaultdb.orm.writing.table import EncryptedTable
    from vaultdb.orm.writing.write import Row

Pins = Mapping[str, BindParameter[Any]]
"""For each pinned column of the target, by column key: a bind that it must equal."""


def find_pins(statement: Any, table: EncryptedTable) -> Pins:
    """Return the columns of the target that the WHERE clause pins to values."""
    columns = {hash(column): column for column in table.table.c}
    pins: dict[str, BindParameter[Any]] = {}
    for criterion in dml.where_criteria(statement):
        for term in _terms(criterion):
            found = _pin(term)
            if found is not None:
                element, bind = found
                column = columns.get(hash(element))
                # Annotated copies of a column, which the ORM makes, hash like the column.
                if column is not None and element.key == column.key:
                    pins[column.key] = bind  # two different values match no row
    return pins


def pinned_value(bind: BindParameter[Any], row: Row) -> Any:
    """Return what a parameter set says the pinned column equals."""
    if not bind.unique:
        given = row.get(bind.key, MISSING)
        if given is not MISSING:
            return given
        if bind.required:
            raise StatementRefused(f"a value is required for bind parameter {bind.key!r}")
    return bind.effective_value


def _terms(criterion: Any) -> Iterator[Any]:
    if isinstance(criterion, Grouping):
        yield from _terms(criterion.element)
    elif isinstance(criterion, BooleanClauseList):
        if criterion.operator is operators.and_:
            for clause in criterion.clauses:
                yield from _terms(clause)
    else:
        yield criterion


def _pin(term: Any) -> tuple[Any, BindParameter[Any]] | None:
    if not isinstance(term, BinaryExpression) or term.operator is not operators.eq:
        return None
    for element, bind in ((term.left, term.right), (term.right, term.left)):
        if isinstance(bind, BindParameter) and not bind.expanding and _arrives_as_given(bind):
            return element, bind
    return None


def _arrives_as_given(bind: BindParameter[Any]) -> bool:
    """Return whether the server gets the value that is in the parameter set."""
    return not isinstance(bind.type, TypeDecorator) or keeps_values(bind.type)
