"""Tables that have another name in the database."""

from __future__ import annotations

from collections.abc import Iterable

from alembic.operations import MigrateOperation
from alembic.operations.ops import (
    CreateIndexOp,
    CreateTableOp,
    DropIndexOp,
    DropTableOp,
    ModifyTableOps,
    UpgradeOps,
)
from sqlalchemy import Table

from vaultdb.alembic.autogenerate.found import indexed
from vaultdb.alembic.autogenerate.lookups import Lookups
from vaultdb.alembic.autogenerate.renaming import RenameTableOp, renamed_index
from vaultdb.alembic.autogenerate.seen import Key, Seen
from vaultdb.alembic.operations import RenameSequenceOp
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.roles.sequences import implicit_name


def rename_tables(operations: UpgradeOps, seen: Seen, lookups: Lookups) -> dict[Key, str]:
    """Replace a drop and a creation by a rename, where the logical names are the old table's.

    What else differs between the two is left to the next comparison.

    Returns:
        New names by the old tables.

    """
    renamed: dict[Key, str] = {}
    gone = [key for key, declared in seen.declared.items() if declared is None]
    new = [key for key, live in seen.live.items() if live is None]
    for after in new:
        for before in gone:
            if before not in renamed and _is_same(seen, before, after, lookups):
                renamed[before] = after[1]
                operations.ops[:] = [
                    *_sequences(seen, before, after, lookups),
                    *_with_rename(operations.ops, before, after, seen),
                ]
                break
    return renamed


def _is_same(seen: Seen, before: Key, after: Key, lookups: Lookups) -> bool:
    live, declared = seen.live[before], seen.declared[after]
    if live is None or declared is None or before[0] != after[0]:
        return False
    columns = encrypted_columns(declared)
    names = {str(column.name) for column in live.columns}
    return bool(columns) and all(
        any(lookups.is_known_as(live, name, column.type.logical_name) for name in names)  # type: ignore[attr-defined]
        for column in columns
    )


def _sequences(seen: Seen, before: Key, after: Key, lookups: Lookups) -> list[MigrateOperation]:
    """Rename the sequences that have their names from the table."""
    live, schema = seen.live[before], before[0]
    assert live is not None
    names = {
        implicit_name(before[1], column.name): implicit_name(after[1], column.name)
        for column in live.columns
    }
    return [
        RenameSequenceOp(name, names[name], schema=schema)
        for _, name in lookups.sequences(live)
        if name in names
    ]


def _with_rename(
    operations: Iterable[MigrateOperation], before: Key, after: Key, seen: Seen
) -> list[MigrateOperation]:
    declared = seen.declared[after]
    assert declared is not None
    found: list[MigrateOperation] = [RenameTableOp(before[1], after[1], schema=before[0])]
    dropped: list[DropIndexOp] = []
    created: list[CreateIndexOp] = []
    rest: list[MigrateOperation] = []
    for each in operations:
        if isinstance(each, CreateTableOp) and _is_of(each, declared):
            continue
        if isinstance(each, DropTableOp) and (each.schema, each.table_name) == before:
            continue
        if isinstance(each, ModifyTableOps) and (each.schema, each.table_name) in (before, after):
            dropped += [one for one in each.ops if isinstance(one, DropIndexOp)]
            created += [one for one in each.ops if isinstance(one, CreateIndexOp)]
            continue
        rest.append(each)
    return [*found, *_indexes(dropped, created, before[0]), *rest]


def _is_of(operation: CreateTableOp, table: Table) -> bool:
    return (operation.schema, operation.table_name) == (table.schema, table.name)


def _indexes(
    dropped: list[DropIndexOp], created: list[CreateIndexOp], schema: str | None
) -> list[MigrateOperation]:
    """Rename the indexes that stay; the others are found by the next comparison."""
    found: list[MigrateOperation] = []
    for new in created:
        for old in dropped:
            alike = indexed(old) == indexed(new)
            if alike and bool(old.to_index().unique) == bool(new.unique):
                dropped.remove(old)
                found += renamed_index(old, new, schema)
                break
    return found
