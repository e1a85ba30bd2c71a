"""Recognise encrypted columns, and words about them."""

from __future__ import annotations

from typing import Any, TypeGuard

from sqlalchemy import ColumnClause

from vaultdb.errors import StatementRefused
from vaultdb.orm.refusals.positions import Position
from vaultdb.orm.types import Encrypted

__all__ = ["encrypted_type", "is_column", "refusal"]


def encrypted_type(element: Any) -> Encrypted[Any] | None:
    """Return the encrypted type of an expression, or None."""
    type_ = getattr(element, "type", None)
    return type_ if isinstance(type_, Encrypted) else None


def is_column(element: Any) -> TypeGuard[ColumnClause[Any]]:
    """Return whether an expression is a column of a table or a subquery, not an SQL literal."""
    return (
        isinstance(element, ColumnClause) and not element.is_literal and element.table is not None
    )


def refusal(element: Any, position: Position) -> StatementRefused:
    """Build the error for an encrypted `element` found at `position`."""
    type_ = encrypted_type(element)
    name = type_.logical_name if type_ is not None else None
    return StatementRefused(
        f"{name or 'the value'} is encrypted and cannot stand {position.words}: {position.remedy}"
    )
