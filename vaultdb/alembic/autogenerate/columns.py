"""Encrypted columns and companions that come and go."""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation
from alembic.operations.ops import (
    AddColumnOp,
    AlterColumnOp,
    CreateIndexOp,
    DropColumnOp,
    DropIndexOp,
)
from sqlalchemy import Column

from vaultdb.alembic.autogenerate.found import added, dropped, indexed, named
from vaultdb.alembic.autogenerate.rendering import is_envelope
from vaultdb.alembic.autogenerate.table_change import TableChange
from vaultdb.alembic.operations import (
    AddEncryptedColumnOp,
    CreateBlindIndexOp,
    DropBlindIndexOp,
    DropEncryptedColumnOp,
)
from vaultdb.errors import SchemaError
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.companion import companions_of, is_companion
from vaultdb.orm.indexes import INDEX_SUFFIX


def refuse_decryption(change: TableChange) -> None:
    """Refuse a column that is encrypted in the database and plain in the models.

    Raises:
        SchemaError: names the column and what to declare.

    """
    for column in change.declared.columns:
        live = named(change.live, column.name)
        if live is not None and is_envelope(live.type) and not is_envelope(column.type):
            raise SchemaError(
                f"column {change.name}.{column.name} is encrypted in the database and plain in the"
                " models: PostgreSQL cannot decrypt it; declare a plain column of another name"
                " beside the encrypted one, copy the values with a program that has the key, and"
                " drop the encrypted column then"
            )


def change_columns(change: TableChange) -> None:
    """Write encrypted columns and blind indexes as operations of their own."""
    companions = _new_companions(change)
    operations = _with_new(change, companions)
    change.replace(_with_dropped(change, operations))


def _new_companions(change: TableChange) -> dict[str, Column[Any]]:
    """Return the encrypted columns of the companions that are to be added."""
    new = {added(each) for each in change.operations}
    found = {}
    for column in encrypted_columns(change.declared):
        for companion in companions_of(column):
            if companion.name in new:
                found[str(companion.name)] = column
    return found


def _with_new(change: TableChange, companions: dict[str, Column[Any]]) -> list[MigrateOperation]:
    operations: list[MigrateOperation] = []
    indexes: dict[str, CreateIndexOp] = {}
    for each in change.operations:
        columns = indexed(each)
        if isinstance(each, CreateIndexOp) and columns and columns[0] in companions:
            if len(columns) == 1:
                indexes[columns[0]] = each
                continue
        elif isinstance(each, AddColumnOp):
            if each.column.name in companions:
                continue
            if is_envelope(each.column.type):
                operations.append(_add(change, each.column))
                continue
        elif isinstance(each, AlterColumnOp) and not _is_left(change, each):
            continue
        operations.append(each)
    for name, column in companions.items():
        operations.append(_blind_index(change, column, name, indexes.get(name)))
    return operations


def _add(change: TableChange, column: Column[Any]) -> AddEncryptedColumnOp:
    return AddEncryptedColumnOp(change.name, column, schema=change.schema)


def _is_left(change: TableChange, operation: AlterColumnOp) -> bool:
    """Take from a change of a column what is none; tell whether anything is left."""
    column = named(change.declared, str(operation.column_name))
    if column is None:
        return True
    if is_envelope(column.type):
        operation.modify_type = None  # of one domain, or refused, or an expansion
    if is_companion(column) and operation.modify_nullable is False:
        # The values of rows that were there before are missing until those are written again.
        operation.modify_nullable = None
    return operation.has_changes()


def _blind_index(
    change: TableChange, column: Column[Any], companion: str, index: CreateIndexOp | None
) -> CreateBlindIndexOp:
    name = None if index is None else index.index_name
    declared = column.type.index  # type: ignore[attr-defined]
    unique = bool(declared.unique) if index is None else bool(index.unique)
    return CreateBlindIndexOp(
        change.name,
        change.standing_in.get(str(column.name), str(column.name)),
        companion=companion,
        name=None if name is None else str(name),
        unique=unique,
        schema=change.schema,
    )


def _with_dropped(
    change: TableChange, operations: list[MigrateOperation]
) -> list[MigrateOperation]:
    gone = {dropped(each) for each in operations}
    envelopes = [each for each in change.live.columns if is_envelope(each.type)]
    companions = {str(each.name) + INDEX_SUFFIX: str(each.name) for each in envelopes}
    leaving = {
        columns[0]: each
        for each in operations
        if isinstance(each, DropIndexOp)
        and (columns := indexed(each)) is not None
        and len(columns) == 1
        and columns[0] in companions
        and columns[0] in gone
    }
    found: list[MigrateOperation] = []
    for each in operations:
        if each in leaving.values() or dropped(each) in leaving:
            continue
        if isinstance(each, DropColumnOp) and is_envelope(each.to_column().type):
            found.append(
                DropEncryptedColumnOp.from_column(change.schema, change.name, each.to_column())
            )
            continue
        found.append(each)
    drops = [_drop(change, companions[name], name, index) for name, index in leaving.items()]
    return [*drops, *found]


def _drop(change: TableChange, column: str, companion: str, index: Any) -> DropBlindIndexOp:
    return DropBlindIndexOp(
        change.name,
        column,
        companion=companion,
        name=str(index.index_name),
        unique=bool(index.to_index().unique),
        schema=change.schema,
    )
