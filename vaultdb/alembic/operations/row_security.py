"""`op.enable_rls` and `op.disable_rls`: whether row-level security holds on a table."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations

from vaultdb.alembic.operations.names import qualified
from vaultdb.alembic.operations.operation import VaultOperation, given


class RowSecurityOperation(VaultOperation):
    """A change from one state of a table's row-level security to another.

    Args:
        table: the table.
        schema: its schema.
        force: whether it also holds for the owner; for `disable_rls`, what a downgrade brings back.

    """

    def __init__(self, table: str, *, schema: str | None = None, force: bool = True) -> None:
        self.table = str(table)
        self.schema = schema
        self.force = force

    def arguments(self) -> tuple[Any, ...]:
        """Return the table."""
        return (self.table,)

    def options(self) -> dict[str, Any]:
        """Return schema and force."""
        return given(schema=self.schema, force=None if self.force else False)

    def _alter(self, action: str) -> str:
        return f"ALTER TABLE {qualified(self.table, self.schema)} {action} ROW LEVEL SECURITY"


@Operations.register_operation("enable_rls")
class EnableRlsOp(RowSecurityOperation):
    """Row-level security on."""

    opname = "enable_rls"

    @classmethod
    def enable_rls(
        cls, operations: Operations, table: str, *, schema: str | None = None, force: bool = True
    ) -> None:
        """Show no row of a table unless a policy says so, to its owner neither."""
        operations.invoke(cls(table, schema=schema, force=force))

    def statements(self) -> list[str]:
        """Return both switches, so that the state afterwards is known."""
        return [self._alter("ENABLE"), self._alter("FORCE" if self.force else "NO FORCE")]

    def reverse(self) -> DisableRlsOp:
        """Return the opposite."""
        return DisableRlsOp(*self.arguments(), **self.options())


@Operations.register_operation("disable_rls")
class DisableRlsOp(RowSecurityOperation):
    """Row-level security off."""

    opname = "disable_rls"

    @classmethod
    def disable_rls(
        cls, operations: Operations, table: str, *, schema: str | None = None, force: bool = True
    ) -> None:
        """Show all rows of a table to everybody who may read it, whatever the policies say."""
        operations.invoke(cls(table, schema=schema, force=force))

    def statements(self) -> list[str]:
        """Return both switches."""
        return [self._alter("NO FORCE"), self._alter("DISABLE")]

    def reverse(self) -> EnableRlsOp:
        """Return the opposite."""
        return EnableRlsOp(*self.arguments(), **self.options())


@Operations.register_operation("force_rls")
class ForceRlsOp(RowSecurityOperation):
    """Row-level security, which is on, for the owner too or not."""

    opname = "force_rls"

    @classmethod
    def force_rls(
        cls, operations: Operations, table: str, *, schema: str | None = None, force: bool = True
    ) -> None:
        """Apply a table's policies to its owner, or with `force=False` no longer."""
        operations.invoke(cls(table, schema=schema, force=force))

    def statements(self) -> list[str]:
        """Return the one switch."""
        return [self._alter("FORCE" if self.force else "NO FORCE")]

    def reverse(self) -> ForceRlsOp:
        """Return the opposite."""
        return ForceRlsOp(self.table, schema=self.schema, force=not self.force)
