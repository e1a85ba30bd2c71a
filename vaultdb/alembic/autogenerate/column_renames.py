"""Encrypted columns that have another name in the database, and their companions."""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation
from alembic.operations.ops import CreateIndexOp, DropIndexOp
from sqlalchemy import Column

from vaultdb.alembic.autogenerate.found import added, dropped, indexed, named
from vaultdb.alembic.autogenerate.renaming import RenameColumnOp, renamed_index
from vaultdb.alembic.autogenerate.rendering import is_envelope
from vaultdb.alembic.autogenerate.table_change import TableChange
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.companion import companion_of
from vaultdb.orm.indexes import INDEX_SUFFIX


def rename_columns(change: TableChange) -> None:
    """Replace a drop and an addition by a rename, where both have one logical name."""
    gone = {dropped(each) for each in change.operations} - {None}
    new = {added(each) for each in change.operations}
    for column in encrypted_columns(change.declared):
        if column.name not in new:
            continue
        for old in sorted(name for name in gone if name is not None):
            if _is_same(change, old, column):
                gone.discard(old)
                _rename(change, old, column)
                break


def _is_same(change: TableChange, old: str, column: Column[Any]) -> bool:
    live = named(change.live, old)
    if live is None or not is_envelope(live.type):
        return False
    name: str = column.type.logical_name  # type: ignore[attr-defined]
    return change.lookups.is_known_as(change.live, old, name)


def _rename(change: TableChange, old: str, column: Column[Any]) -> None:
    names = {old: str(column.name)}
    companion = companion_of(column)
    before = old + INDEX_SUFFIX
    if companion is not None and _is_exchanged(change, before, companion.name):
        names[before] = str(companion.name)
    change.renamed |= names
    renames: list[MigrateOperation] = [
        RenameColumnOp(change.name, was, becomes, schema=change.schema)
        for was, becomes in names.items()
    ]
    rest = [
        each
        for each in change.operations
        if added(each) not in names.values() and dropped(each) not in names
    ]
    change.replace([*renames, *_with_renamed_index(change, rest, names.get(before), before)])


def _is_exchanged(change: TableChange, before: str, after: str) -> bool:
    gone = {dropped(each) for each in change.operations}
    new = {added(each) for each in change.operations}
    return before in gone and after in new


def _with_renamed_index(
    change: TableChange, operations: list[MigrateOperation], after: str | None, before: str
) -> list[MigrateOperation]:
    """Keep the index of a renamed companion, if it is unique still or still not."""
    old = _index_over(operations, before, DropIndexOp)
    new = _index_over(operations, after, CreateIndexOp)
    if old is None or new is None or bool(old.to_index().unique) != bool(new.unique):
        return operations
    rest = [each for each in operations if each is not old and each is not new]
    return [*renamed_index(old, new, change.schema), *rest]


def _index_over(operations: list[MigrateOperation], column: str | None, kind: Any) -> Any:
    return next(
        (each for each in operations if isinstance(each, kind) and indexed(each) == [column]), None
    )
