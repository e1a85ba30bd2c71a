"""`op.rename_index` and `op.rename_sequence`: what a renamed table or column leaves to do."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations

from vaultdb.alembic.operations.names import identifier, qualified
from vaultdb.alembic.operations.operation import VaultOperation, given


@Operations.register_operation("rename_index")
class RenameIndexOp(VaultOperation):
    """An index under another name; it is not built again."""

    opname = "rename_index"

    def __init__(self, old: str, new: str, *, schema: str | None = None) -> None:
        self.old = str(old)
        self.new = str(new)
        self.schema = schema

    @classmethod
    def rename_index(
        cls, operations: Operations, old: str, new: str, *, schema: str | None = None
    ) -> None:
        """Rename an index."""
        operations.invoke(cls(old, new, schema=schema))

    def arguments(self) -> tuple[Any, ...]:
        """Return both names."""
        return (self.old, self.new)

    def options(self) -> dict[str, Any]:
        """Return the schema."""
        return given(schema=self.schema)

    def statements(self) -> list[str]:
        """Return ALTER INDEX."""
        return [f"ALTER INDEX {qualified(self.old, self.schema)} RENAME TO {identifier(self.new)}"]

    def reverse(self) -> RenameIndexOp:
        """Return the opposite."""
        return RenameIndexOp(self.new, self.old, schema=self.schema)


@Operations.register_operation("rename_sequence")
class RenameSequenceOp(VaultOperation):
    """A sequence under another name: SQLAlchemy derives a serial key's from its table's."""

    opname = "rename_sequence"

    def __init__(self, old: str, new: str, *, schema: str | None = None) -> None:
        self.old = str(old)
        self.new = str(new)
        self.schema = schema

    @classmethod
    def rename_sequence(
        cls, operations: Operations, old: str, new: str, *, schema: str | None = None
    ) -> None:
        """Rename a sequence."""
        operations.invoke(cls(old, new, schema=schema))

    def arguments(self) -> tuple[Any, ...]:
        """Return both names."""
        return (self.old, self.new)

    def options(self) -> dict[str, Any]:
        """Return the schema."""
        return given(schema=self.schema)

    def statements(self) -> list[str]:
        """Return ALTER SEQUENCE."""
        name = qualified(self.old, self.schema)
        return [f"ALTER SEQUENCE {name} RENAME TO {identifier(self.new)}"]

    def reverse(self) -> RenameSequenceOp:
        """Return the opposite."""
        return RenameSequenceOp(self.new, self.old, schema=self.schema)
