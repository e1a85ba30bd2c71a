"""`op.expand_encrypted_column`: the encrypted column beside a plaintext one that it will replace.

Never ALTER TYPE: PostgreSQL has no key, and releases that write plaintext are still running.
"""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import Column
from sqlalchemy.types import TypeEngine

from vaultdb.alembic.operations.invalidation import (
    CreateInvalidationTriggerOp,
    DropInvalidationTriggerOp,
)
from vaultdb.alembic.operations.operation import VaultOperation, given

ENCRYPTED_SUFFIX = "_encrypted"
"""What the name of the second column adds to the first one's."""


class ExpansionOperation(VaultOperation):
    """The two columns of a value on its way from plaintext to ciphertext.

    Args:
        table: the table.
        column: the plaintext.
        type_: the encrypted column's, `vaultdb.orm.Envelope()`.
        encrypted_column: its name; by default the plaintext's with `_encrypted`.
        companion: the name of its companion, if it is to have a blind index.
        schema: of the table.

    """

    def __init__(
        self,
        table: str,
        column: str,
        type_: TypeEngine[Any],
        *,
        encrypted_column: str | None = None,
        companion: str | None = None,
        schema: str | None = None,
    ) -> None:
        self.table = str(table)
        self.column = str(column)
        self.type_ = type_
        self.encrypted_column = str(encrypted_column or column + ENCRYPTED_SUFFIX)
        self.companion = companion
        self.schema = schema

    def arguments(self) -> tuple[Any, ...]:
        """Return table, column and type."""
        return (self.table, self.column, self.type_)

    def options(self) -> dict[str, Any]:
        """Return names that are not the usual ones, and the schema."""
        usual = self.encrypted_column == self.column + ENCRYPTED_SUFFIX
        return given(
            encrypted_column=None if usual else self.encrypted_column,
            companion=self.companion,
            schema=self.schema,
        )

    def _trigger_arguments(self) -> tuple[str, str, str]:
        return (self.table, self.column, self.encrypted_column)


@Operations.register_operation("expand_encrypted_column")
class ExpandEncryptedColumnOp(ExpansionOperation):
    """The encrypted column, which may be NULL, and the trigger for old writers."""

    opname = "expand_encrypted_column"

    @classmethod
    def expand_encrypted_column(
        cls,
        operations: Operations,
        table: str,
        column: str,
        type_: TypeEngine[Any],
        *,
        encrypted_column: str | None = None,
        companion: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Add the encrypted column beside a plaintext one, and empty it when that changes alone.

        Next: write both, backfill, verify, and only then drop the plaintext.
        """
        operations.invoke(
            cls(
                table,
                column,
                type_,
                encrypted_column=encrypted_column,
                companion=companion,
                schema=schema,
            )
        )

    def reverse(self) -> AbandonExpansionOp:
        """Return the opposite."""
        return AbandonExpansionOp(*self.arguments(), **self.options())


@Operations.register_operation("abandon_expansion")
class AbandonExpansionOp(ExpansionOperation):
    """Only the plaintext, as before."""

    opname = "abandon_expansion"

    @classmethod
    def abandon_expansion(
        cls,
        operations: Operations,
        table: str,
        column: str,
        type_: TypeEngine[Any],
        *,
        encrypted_column: str | None = None,
        companion: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Drop the encrypted column again, with what it holds, and the trigger."""
        operations.invoke(
            cls(
                table,
                column,
                type_,
                encrypted_column=encrypted_column,
                companion=companion,
                schema=schema,
            )
        )

    def reverse(self) -> ExpandEncryptedColumnOp:
        """Return the opposite."""
        return ExpandEncryptedColumnOp(*self.arguments(), **self.options())


@Operations.implementation_for(ExpandEncryptedColumnOp)
def _expand(operations: Operations, operation: ExpandEncryptedColumnOp) -> None:
    column: Column[Any] = Column(operation.encrypted_column, operation.type_, nullable=True)
    operations.add_encrypted_column(operation.table, column, schema=operation.schema)  # type: ignore[attr-defined]
    operations.invoke(
        CreateInvalidationTriggerOp(
            *operation._trigger_arguments(),  # noqa: SLF001
            companion=operation.companion,
            schema=operation.schema,
        )
    )


@Operations.implementation_for(AbandonExpansionOp)
def _abandon(operations: Operations, operation: AbandonExpansionOp) -> None:
    operations.invoke(
        DropInvalidationTriggerOp(
            *operation._trigger_arguments(),  # noqa: SLF001
            companion=operation.companion,
            schema=operation.schema,
        )
    )
    operations.drop_column(operation.table, operation.encrypted_column, schema=operation.schema)
