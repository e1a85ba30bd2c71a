"""The trigger that notices who still writes plaintext only.

PostgreSQL cannot encrypt, but it can see that a release which knows nothing of the encrypted
column has changed the plaintext, and empty the ciphertext, which would be wrong from then on. The
backfill then finds the row again. An INSERT needs nothing: its ciphertext is NULL anyway.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from alembic.operations import Operations

from vaultdb.alembic.operations.names import identifier, literal, qualified
from vaultdb.alembic.operations.operation import VaultOperation, given
from vaultdb.db.quoting import LONGEST_NAME


def trigger_name(table: str, column: str) -> str:
    """Return what the trigger and its function are called, for ever: a downgrade looks for it."""
    name = f"vaultdb_stale_{table}_{column}"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    start = name.encode()[: LONGEST_NAME - len(digest) - 1].decode(errors="ignore")
    return f"{start}_{digest}"


class InvalidationOperation(VaultOperation):
    """The trigger of a plaintext column and its encrypted one.

    Args:
        table: the table.
        column: the plaintext.
        encrypted_column: the encrypted one.
        companion: the encrypted one's companion, emptied too.
        schema: of the table; the function is put there.

    """

    def __init__(
        self,
        table: str,
        column: str,
        encrypted_column: str,
        *,
        companion: str | None = None,
        schema: str | None = None,
    ) -> None:
        self.table = str(table)
        self.column = str(column)
        self.encrypted_column = str(encrypted_column)
        self.companion = companion
        self.schema = schema

    def arguments(self) -> tuple[Any, ...]:
        """Return the table and both columns."""
        return (self.table, self.column, self.encrypted_column)

    def options(self) -> dict[str, Any]:
        """Return companion and schema."""
        return given(companion=self.companion, schema=self.schema)

    @property
    def _trigger(self) -> str:
        return identifier(trigger_name(self.table, self.column))

    @property
    def _function(self) -> str:
        return qualified(trigger_name(self.table, self.column), self.schema)

    def _create(self) -> list[str]:
        emptied = [self.encrypted_column, *([self.companion] if self.companion else [])]
        body = " ".join(f"NEW.{identifier(column)} := NULL;" for column in emptied)
        table = qualified(self.table, self.schema)
        return [
            (
                f"CREATE FUNCTION {self._function}() RETURNS trigger LANGUAGE plpgsql"
                " SET search_path = pg_catalog, pg_temp"
                f" AS {literal(f'BEGIN {body} RETURN NEW; END')}"
            ),
            f"REVOKE ALL ON FUNCTION {self._function}() FROM PUBLIC",
            (
                f"CREATE TRIGGER {self._trigger} BEFORE UPDATE ON {table} FOR EACH ROW"
                f" WHEN ({self._stale()}) EXECUTE FUNCTION {self._function}()"
            ),
        ]

    def _drop(self) -> list[str]:
        return [
            f"DROP TRIGGER {self._trigger} ON {qualified(self.table, self.schema)}",
            f"DROP FUNCTION {self._function}()",
        ]

    def _stale(self) -> str:
        # As text under "C": json has no equality, and citext says that Ada is ADA.
        plain, encrypted = identifier(self.column), identifier(self.encrypted_column)
        as_text = '::pg_catalog.text COLLATE pg_catalog."C"'
        return (
            f"(OLD.{plain}{as_text}) IS DISTINCT FROM (NEW.{plain}{as_text})"
            f" AND OLD.{encrypted} IS NOT DISTINCT FROM NEW.{encrypted}"
        )


@Operations.register_operation("create_invalidation_trigger")
class CreateInvalidationTriggerOp(InvalidationOperation):
    """A new trigger."""

    opname = "create_invalidation_trigger"

    @classmethod
    def create_invalidation_trigger(
        cls,
        operations: Operations,
        table: str,
        column: str,
        encrypted_column: str,
        *,
        companion: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Empty the encrypted column whenever only the plaintext is changed."""
        operations.invoke(cls(table, column, encrypted_column, companion=companion, schema=schema))

    def statements(self) -> list[str]:
        """Return function and trigger."""
        return self._create()

    def reverse(self) -> DropInvalidationTriggerOp:
        """Return the opposite."""
        return DropInvalidationTriggerOp(*self.arguments(), **self.options())


@Operations.register_operation("drop_invalidation_trigger")
class DropInvalidationTriggerOp(InvalidationOperation):
    """The trigger less."""

    opname = "drop_invalidation_trigger"

    @classmethod
    def drop_invalidation_trigger(
        cls,
        operations: Operations,
        table: str,
        column: str,
        encrypted_column: str,
        *,
        companion: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Drop the trigger: before the plaintext is emptied, which it would take for a change."""
        operations.invoke(cls(table, column, encrypted_column, companion=companion, schema=schema))

    def statements(self) -> list[str]:
        """Return both drops."""
        return self._drop()

    def reverse(self) -> CreateInvalidationTriggerOp:
        """Return the opposite."""
        return CreateInvalidationTriggerOp(*self.arguments(), **self.options())
