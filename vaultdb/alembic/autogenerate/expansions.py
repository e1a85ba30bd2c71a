"""Plaintext columns that become encrypted: a second column, never another type for the first.

Two declarations lead here. The better one names the second column, so that a program can run with
it and write both:

    ssn_plain: Mapped[str | None] = mapped_column("ssn", Text)
    ssn: Mapped[str | None] = encrypted(
        str, name="ssn_encrypted", nullable=True, adopts="ssn", plaintext="allow"
    )

The other one simply says `ssn = encrypted(str)`. The second column is then called the same, but no
program can run with these models until the plaintext is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alembic.operations import MigrateOperation
from alembic.operations.ops import AlterColumnOp, DropColumnOp
from sqlalchemy import Column

from vaultdb.alembic.autogenerate.found import added, constrained, dropped, indexed, named
from vaultdb.alembic.autogenerate.renaming import RenameColumnOp
from vaultdb.alembic.autogenerate.rendering import is_envelope
from vaultdb.alembic.autogenerate.table_change import TableChange
from vaultdb.alembic.operations import DropInvalidationTriggerOp, ExpandEncryptedColumnOp
from vaultdb.alembic.operations.expansion import ENCRYPTED_SUFFIX
from vaultdb.alembic.operations.invalidation import trigger_name
from vaultdb.logs import MIGRATIONS
from vaultdb.orm.adoption import REPLACES
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.companion import companion_of
from vaultdb.orm.stored_types import Envelope


@dataclass(frozen=True, slots=True)
class Expansion:
    """A plaintext column and the encrypted one that replaces it."""

    column: Column[Any]
    plain: str
    encrypted: str
    """Its name in the database as long as the plaintext is there."""
    companion: str | None

    @property
    def in_place(self) -> bool:
        """Whether the models give the encrypted column the plaintext's name."""
        return bool(self.column.name == self.plain)


def expand_columns(change: TableChange) -> None:
    """Add second columns, keep what they replace until it is safe to drop, and drop it then."""
    for expansion in list(_expansions(change)):
        if expansion.in_place:
            change.standing_in[expansion.plain] = expansion.encrypted
        is_there = named(change.live, expansion.encrypted) is not None
        is_safe = is_there and change.lookups.is_covered(
            change.live, expansion.plain, expansion.encrypted
        )
        operations = [
            each for each in change.operations if not _is_premature(each, expansion, safe=is_safe)
        ]
        if not is_there:
            operations.insert(0, _expand(change, expansion))
        elif is_safe:
            operations = _contracted(change, expansion, operations)
        else:
            MIGRATIONS.info(
                "plaintext column %s.%s is kept until a validated check covers it",
                change.name,
                expansion.plain,
            )
        change.replace(operations)


def _expansions(change: TableChange) -> Iterator[Expansion]:
    for column in encrypted_columns(change.declared):
        same = named(change.live, column.name)
        in_place = same is not None and not is_envelope(same.type)
        plain = str(column.name) if in_place else _replaced(column)
        live = None if plain is None else named(change.live, plain)
        if plain is None or live is None or is_envelope(live.type):
            continue
        encrypted = plain + ENCRYPTED_SUFFIX if in_place else str(column.name)
        companion = companion_of(column)
        yield Expansion(column, plain, encrypted, None if companion is None else companion.name)


def _replaced(column: Column[Any]) -> str | None:
    """Return the plaintext column that a column replaces by its name, or as declared."""
    declared: str | None = column.info.get(REPLACES)
    name = str(column.name)
    return declared or (name.removesuffix(ENCRYPTED_SUFFIX) if _has_suffix(name) else None)


def _has_suffix(name: str) -> bool:
    return name.endswith(ENCRYPTED_SUFFIX) and name != ENCRYPTED_SUFFIX


def _is_premature(operation: MigrateOperation, expansion: Expansion, *, safe: bool) -> bool:
    """Tell whether an operation would touch the plaintext, or bind the new column, too early."""
    if isinstance(operation, AlterColumnOp):
        if operation.column_name == expansion.plain:
            return expansion.in_place
        return operation.column_name == expansion.encrypted and not safe and _only_null(operation)
    if added(operation) == expansion.encrypted:
        return True
    gone = dropped(operation)
    if gone == expansion.encrypted:
        return expansion.in_place
    touched = [gone] if gone else indexed(operation) or constrained(operation) or []
    drops = not type(operation).__name__.startswith("Create")
    return expansion.plain in touched and drops and not safe


def _only_null(operation: AlterColumnOp) -> bool:
    operation.modify_nullable = None
    return not operation.has_changes()


def _expand(change: TableChange, expansion: Expansion) -> ExpandEncryptedColumnOp:
    return ExpandEncryptedColumnOp(
        change.name,
        expansion.plain,
        Envelope(),
        encrypted_column=expansion.encrypted,
        companion=expansion.companion,
        schema=change.schema,
    )


def _contracted(
    change: TableChange, expansion: Expansion, operations: list[MigrateOperation]
) -> list[MigrateOperation]:
    """Drop the plaintext, if the models do so: the trigger first, which looks at it."""
    drops = [each for each in operations if dropped(each) == expansion.plain]
    if expansion.in_place:
        live = named(change.live, expansion.plain)
        assert live is not None
        drops = [DropColumnOp.from_column_and_tablename(change.schema, change.name, live)]
    if not drops:
        return operations
    rest = [each for each in operations if each not in drops]
    trigger = trigger_name(change.name, expansion.plain)
    first: list[MigrateOperation] = []
    if change.lookups.has_trigger(change.live, trigger):
        first = [
            DropInvalidationTriggerOp(
                change.name,
                expansion.plain,
                expansion.encrypted,
                companion=expansion.companion,
                schema=change.schema,
            )
        ]
    return [*first, *rest, *drops, *_final_name(change, expansion)]


def _final_name(change: TableChange, expansion: Expansion) -> list[MigrateOperation]:
    if not expansion.in_place:
        return []
    change.renamed[expansion.encrypted] = expansion.plain
    change.standing_in.pop(expansion.plain, None)
    found: list[MigrateOperation] = [
        RenameColumnOp(change.name, expansion.encrypted, expansion.plain, schema=change.schema)
    ]
    live = named(change.live, expansion.encrypted)
    if live is not None and live.nullable and not expansion.column.nullable:
        found.append(
            AlterColumnOp(
                change.name,
                expansion.plain,
                schema=change.schema,
                existing_type=Envelope(),
                existing_nullable=True,
                modify_nullable=False,
            )
        )
    return found
