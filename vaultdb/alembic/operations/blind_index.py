"""`op.create_blind_index` and `op.drop_blind_index`: the companion column and the index over it."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import Column

from vaultdb.alembic.operations.operation import VaultOperation, given
from vaultdb.orm.indexes import INDEX_SUFFIX
from vaultdb.orm.stored_types import IndexValue


class BlindIndexOperation(VaultOperation):
    """A blind index of an encrypted column.

    Args:
        table: the table.
        column: the encrypted column.
        companion: the column that holds the index values; by default the column's with `_index`.
        name: the index's name; by default `ix_<table>_<companion>`.
        unique: whether equal values are refused.
        schema: of the table.

    """

    def __init__(
        self,
        table: str,
        column: str,
        *,
        companion: str | None = None,
        name: str | None = None,
        unique: bool = False,
        schema: str | None = None,
    ) -> None:
        self.table = str(table)
        self.column = str(column)
        self.companion = str(companion or column + INDEX_SUFFIX)
        self.name = str(name or f"ix_{table}_{self.companion}")
        self.unique = unique
        self.schema = schema

    def arguments(self) -> tuple[Any, ...]:
        """Return table and column."""
        return (self.table, self.column)

    def options(self) -> dict[str, Any]:
        """Return names that are not the usual ones, uniqueness and schema."""
        companion = None if self.companion == self.column + INDEX_SUFFIX else self.companion
        name = None if self.name == f"ix_{self.table}_{self.companion}" else self.name
        return given(companion=companion, name=name, unique=self.unique or None, schema=self.schema)


@Operations.register_operation("create_blind_index")
class CreateBlindIndexOp(BlindIndexOperation):
    """A new blind index."""

    opname = "create_blind_index"

    @classmethod
    def create_blind_index(
        cls,
        operations: Operations,
        table: str,
        column: str,
        *,
        companion: str | None = None,
        name: str | None = None,
        unique: bool = False,
        schema: str | None = None,
    ) -> None:
        """Add the companion of an encrypted column, and the index over it.

        The companion may be NULL: rows that are there have no index value, and are not found by
        it, until they are written again.
        """
        operations.invoke(
            cls(table, column, companion=companion, name=name, unique=unique, schema=schema)
        )

    def reverse(self) -> DropBlindIndexOp:
        """Return the opposite."""
        return DropBlindIndexOp(*self.arguments(), **self.options())


@Operations.register_operation("drop_blind_index")
class DropBlindIndexOp(BlindIndexOperation):
    """A blind index less."""

    opname = "drop_blind_index"

    @classmethod
    def drop_blind_index(
        cls,
        operations: Operations,
        table: str,
        column: str,
        *,
        companion: str | None = None,
        name: str | None = None,
        unique: bool = False,
        schema: str | None = None,
    ) -> None:
        """Drop the index and the companion of an encrypted column; the values stay."""
        operations.invoke(
            cls(table, column, companion=companion, name=name, unique=unique, schema=schema)
        )

    def reverse(self) -> CreateBlindIndexOp:
        """Return the opposite."""
        return CreateBlindIndexOp(*self.arguments(), **self.options())


@Operations.implementation_for(CreateBlindIndexOp)
def _create(operations: Operations, operation: CreateBlindIndexOp) -> None:
    table, schema, companion = operation.table, operation.schema, operation.companion
    operations.add_column(table, Column(companion, IndexValue(), nullable=True), schema=schema)
    operations.create_index(
        operation.name, table, [companion], unique=operation.unique, schema=schema
    )


@Operations.implementation_for(DropBlindIndexOp)
def _drop(operations: Operations, operation: DropBlindIndexOp) -> None:
    operations.drop_index(operation.name, table_name=operation.table, schema=operation.schema)
    operations.drop_column(operation.table, operation.companion, schema=operation.schema)
