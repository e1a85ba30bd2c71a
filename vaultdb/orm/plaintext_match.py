"""Searching rows that are not encrypted yet, by their plaintext."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import JSON, BindParameter, ColumnElement, bindparam

from vaultdb.orm.key_columns import is_deterministic

if TYPE_CHECKING:
    from vaultdb.orm.probe import ProbeType


def plaintext_match(
    plain: ColumnElement[Any],
    operand: Any,
    probe: ProbeType,
    *,
    negated: bool,
    refuse: Callable[[str, str], NoReturn],
) -> ColumnElement[bool]:
    """Build the comparison of the plaintext column with what is searched for.

    Args:
        plain: as seen from the FROM element of the encrypted column.
        operand: one value or several; secret.
        probe: the type of the parameter for the index.
        negated: whether the rows are wanted that do not match.
        refuse: raises, given what cannot be compared and the remedy.

    Raises:
        StatementRefused: the server would compare by other rules than the index.

    """
    remedy = 'encrypt all rows and declare plaintext="forbid" first'
    index = probe.searched.index
    if index is not None and index.normalise != "exact":
        refuse(f"by {index.normalise!r} while plaintext is allowed", remedy)
    if isinstance(plain.type, JSON) or not is_deterministic(plain.type):
        refuse(f"with plaintext of the type {plain.type!r}", remedy)
    values = _values(operand, refuse)
    value = bindparam(None, values, type_=plain.type, unique=True, expanding=probe.several)
    if probe.several:
        return plain.not_in(value) if negated else plain.in_(value)
    return plain != value if negated else plain == value


def _values(operand: Any, refuse: Callable[[str, str], NoReturn]) -> Any:
    """Return the values themselves: one parameter cannot be both an index value and plaintext."""
    if not isinstance(operand, BindParameter):
        return operand
    if not operand.unique or operand.callable is not None:
        refuse("with bindparam() while plaintext is allowed", "give the value itself")
    return operand.effective_value
