"""Small questions about the operations that Alembic has found."""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation
from alembic.operations.ops import (
    AddColumnOp,
    CreateIndexOp,
    DropColumnOp,
    DropConstraintOp,
    DropIndexOp,
)
from sqlalchemy import Column, Table


def added(operation: MigrateOperation) -> str | None:
    """Return the name of the column that an operation adds."""
    return str(operation.column.name) if isinstance(operation, AddColumnOp) else None


def dropped(operation: MigrateOperation) -> str | None:
    """Return the name of the column that an operation drops."""
    return str(operation.column_name) if isinstance(operation, DropColumnOp) else None


def indexed(operation: MigrateOperation) -> list[str] | None:
    """Return the columns of the index that an operation creates or drops."""
    if not isinstance(operation, CreateIndexOp | DropIndexOp):
        return None
    return [getattr(column, "name", str(column)) for column in operation.to_index().columns]


def constrained(operation: MigrateOperation) -> list[str] | None:
    """Return the columns of the constraint that an operation drops, if it has any."""
    if not isinstance(operation, DropConstraintOp):
        return None
    try:
        constraint: Any = operation.to_constraint()
    except ValueError:  # of an operation that was not made by a comparison
        return None
    return [getattr(column, "name", str(column)) for column in getattr(constraint, "columns", ())]


def named(table: Table, name: str) -> Column[Any] | None:
    """Return a column by its name in the database, which need not be its key."""
    return next((column for column in table.columns if column.name == name), None)
