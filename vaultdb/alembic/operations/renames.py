"""`op.rename_index` and `op.rename_sequence`: what a renamed table or column leaves to do."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations

from vaultdb.alembic.operations.names import identifier, qualified
from vaultdb.alembic.operations.operation import VaultOperation, given


class RenameOperation(VaultOperation):
    """Something under another name.

    Args:
        old: its name so far.
        new: its name from now on.
        schema: its schema, which it stays in.

    """

    def __init__(self, old: str, new: str, *, schema: str | None = None) -> None:
        self.old = str(old)
        self.new = str(new)
        self.schema = schema

    def arguments(self) -> tuple[Any, ...]:
        """Return both names."""
        return (self.old, self.new)

    def options(self) -> dict[str, Any]:
        """Return the schema."""
        return given(schema=self.schema)

    def _alter(self, kind: str) -> list[str]:
        name = qualified(self.old, self.schema)
        return [f"ALTER {kind} {name} RENAME TO {identifier(self.new)}"]


@Operations.register_operation("rename_index")
class RenameIndexOp(RenameOperation):
    """An index under another name; it is not built again."""

    opname = "rename_index"

    @classmethod
    def rename_index(
        cls, operations: Operations, old: str, new: str, *, schema: str | None = None
    ) -> None:
        """Rename an index."""
        operations.invoke(cls(old, new, schema=schema))

    def statements(self) -> list[str]:
        """Return ALTER INDEX."""
        return self._alter("INDEX")

    def reverse(self) -> RenameIndexOp:
        """Return the opposite."""
        return RenameIndexOp(self.new, self.old, schema=self.schema)


@Operations.register_operation("rename_sequence")
class RenameSequenceOp(RenameOperation):
    """A sequence under another name: SQLAlchemy derives a serial key's from its table's."""

    opname = "rename_sequence"

    @classmethod
    def rename_sequence(
        cls, operations: Operations, old: str, new: str, *, schema: str | None = None
    ) -> None:
        """Rename a sequence."""
        operations.invoke(cls(old, new, schema=schema))

    def statements(self) -> list[str]:
        """Return ALTER SEQUENCE."""
        return self._alter("SEQUENCE")

    def reverse(self) -> RenameSequenceOp:
        """Return the opposite."""
        return RenameSequenceOp(self.new, self.old, schema=self.schema)
