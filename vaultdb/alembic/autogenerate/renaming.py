"""Renames: Alembic sees a drop and an addition, the logical name says that it is one column.

What is written is a rename, so that the rows stay; the logical name stays with them.
"""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import CreateIndexOp, DropIndexOp

from vaultdb.alembic.operations.operation import VaultOperation, given
from vaultdb.alembic.operations.renames import RenameIndexOp


class RenameTableOp(VaultOperation):
    """`op.rename_table`, which Alembic can run but neither writes nor reverses."""

    opname = "rename_table"

    def __init__(self, old: str, new: str, *, schema: str | None) -> None:
        self.old = str(old)
        self.new = str(new)
        self.schema = schema

    def arguments(self) -> tuple[Any, ...]:
        """Return both names."""
        return (self.old, self.new)

    def options(self) -> dict[str, Any]:
        """Return the schema."""
        return given(schema=self.schema)

    def reverse(self) -> RenameTableOp:
        """Return the opposite."""
        return RenameTableOp(self.new, self.old, schema=self.schema)


class RenameColumnOp(VaultOperation):
    """`op.alter_column(new_column_name=)`, likewise."""

    opname = "alter_column"

    def __init__(self, table: str, old: str, new: str, *, schema: str | None) -> None:
        self.table = str(table)
        self.old = str(old)
        self.new = str(new)
        self.schema = schema

    def arguments(self) -> tuple[Any, ...]:
        """Return table and old name."""
        return (self.table, self.old)

    def options(self) -> dict[str, Any]:
        """Return new name and schema."""
        return {"new_column_name": self.new, **given(schema=self.schema)}

    def reverse(self) -> RenameColumnOp:
        """Return the opposite."""
        return RenameColumnOp(self.table, self.new, self.old, schema=self.schema)


@Operations.implementation_for(RenameTableOp)
def _rename_table(operations: Operations, operation: RenameTableOp) -> None:
    operations.rename_table(operation.old, operation.new, schema=operation.schema)


@Operations.implementation_for(RenameColumnOp)
def _rename_column(operations: Operations, operation: RenameColumnOp) -> None:
    operations.alter_column(
        operation.table,
        operation.old,
        new_column_name=operation.new,
        schema=operation.schema,
    )


def renamed_index(
    dropped: DropIndexOp, created: CreateIndexOp, schema: str | None
) -> list[MigrateOperation]:
    """Return what makes one index of the other: nothing if it has the same name."""
    old, new = str(dropped.index_name), str(created.index_name)
    return [] if old == new else [RenameIndexOp(old, new, schema=schema)]
