"""`op.add_encrypted_column`: a column of envelopes in a table that is there already."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from alembic.operations.ops import DropColumnOp
from sqlalchemy import Column

from vaultdb.alembic.operations.names import identifier, qualified
from vaultdb.alembic.operations.operation import VaultOperation, given
from vaultdb.alembic.operations.statement import run


def storage_external(table: str, column: str, schema: str | None) -> str:
    """Return the SQL that keeps PostgreSQL from trying to compress ciphertext."""
    name = qualified(table, schema)
    return f"ALTER TABLE {name} ALTER COLUMN {identifier(column)} SET STORAGE EXTERNAL"


@Operations.register_operation("add_encrypted_column")
class AddEncryptedColumnOp(VaultOperation):
    """A new column of envelopes.

    Args:
        table: the table.
        column: of type `vaultdb.orm.Envelope`; without its companion.
        schema: of the table.

    """

    opname = "add_encrypted_column"

    def __init__(self, table: str, column: Column[Any], *, schema: str | None = None) -> None:
        self.table = str(table)
        self.column = column
        self.schema = schema

    @classmethod
    def add_encrypted_column(
        cls, operations: Operations, table: str, column: Column[Any], *, schema: str | None = None
    ) -> None:
        """Add a column of envelopes, stored as they are.

        Roles that hold privileges on single columns cannot see it until `op.grant` says so.
        """
        operations.invoke(cls(table, column, schema=schema))

    def arguments(self) -> tuple[Any, ...]:
        """Return table and column."""
        return (self.table, self.column)

    def options(self) -> dict[str, Any]:
        """Return the schema."""
        return given(schema=self.schema)

    def reverse(self) -> DropEncryptedColumnOp:
        """Return the opposite."""
        return DropEncryptedColumnOp.from_column(self.schema, self.table, self.column)


class DropEncryptedColumnOp(DropColumnOp):
    """`op.drop_column` of a column of envelopes; a downgrade brings back the whole of it."""

    @classmethod
    def from_column(
        cls, schema: str | None, table: str, column: Column[Any]
    ) -> DropEncryptedColumnOp:
        """Return the operation for a column whose definition is known."""
        made = cls.from_column_and_tablename(schema, table, column)
        assert isinstance(made, DropEncryptedColumnOp)
        return made

    def reverse(self) -> AddEncryptedColumnOp:  # type: ignore[override]
        """Return the opposite."""
        return AddEncryptedColumnOp(self.table_name, self.to_column(), schema=self.schema)


@Operations.implementation_for(AddEncryptedColumnOp)
def _run(operations: Operations, operation: AddEncryptedColumnOp) -> None:
    table, schema = operation.table, operation.schema
    operations.add_column(table, operation.column, schema=schema)
    run(operations, storage_external(table, operation.column.name, schema))
