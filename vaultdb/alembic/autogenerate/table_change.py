"""What has been found for one table that is there and declared."""

from __future__ import annotations

from dataclasses import dataclass, field

from alembic.operations import MigrateOperation
from alembic.operations.ops import ModifyTableOps
from sqlalchemy import Table

from vaultdb.alembic.autogenerate.lookups import Lookups


@dataclass(slots=True)
class TableChange:
    """One table's operations, to be replaced by better ones.

    Args:
        modify: Alembic's container.
        live: the table as it is.
        declared: the table as it shall be.
        lookups: what else the database knows.

    """

    modify: ModifyTableOps
    live: Table
    declared: Table
    lookups: Lookups
    renamed: dict[str, str] = field(default_factory=dict)
    """Columns: new names by old ones."""
    standing_in: dict[str, str] = field(default_factory=dict)
    """Columns that are declared under a name that still belongs to plaintext: the other name."""

    @property
    def name(self) -> str:
        """The table, as Alembic calls it while it compares."""
        return str(self.modify.table_name)

    @property
    def schema(self) -> str | None:
        """Its schema, likewise."""
        return self.modify.schema

    @property
    def operations(self) -> list[MigrateOperation]:
        """What is to be done."""
        return self.modify.ops

    def replace(self, operations: list[MigrateOperation]) -> None:
        """Do this instead."""
        self.modify.ops[:] = operations
