"""Turn what Alembic has found into what encrypted columns and declared access need."""

from __future__ import annotations

from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation
from alembic.operations.ops import DropTableOp, ModifyTableOps, UpgradeOps
from sqlalchemy import MetaData

from vaultdb.alembic.autogenerate.access import AccessComparison, Moves, is_any_declared
from vaultdb.alembic.autogenerate.column_renames import rename_columns
from vaultdb.alembic.autogenerate.columns import change_columns, refuse_decryption
from vaultdb.alembic.autogenerate.expansions import expand_columns
from vaultdb.alembic.autogenerate.lookups import Lookups
from vaultdb.alembic.autogenerate.seen import Key, Seen
from vaultdb.alembic.autogenerate.table_change import TableChange
from vaultdb.alembic.autogenerate.table_renames import rename_tables
from vaultdb.db.role_names import RoleNames


def rewrite(context: AutogenContext, operations: UpgradeOps, seen: Seen, names: RoleNames) -> None:
    """Change the operations of an upgrade in place; the downgrade is made from them.

    Raises:
        SchemaError: the models want what no migration can do.

    """
    assert context.connection is not None
    lookups = Lookups(context.connection)
    _leave_foreign_tables(operations, seen)
    moves = Moves(tables=rename_tables(operations, seen, lookups))
    for key, declared in seen.declared.items():
        live = seen.live[key]
        if live is None or declared is None:
            continue
        modify = _operations_of(operations, key[0], key[1])
        change = TableChange(modify, live, declared, lookups)
        refuse_decryption(change)
        rename_columns(change)
        expand_columns(change)
        change_columns(change)
        moves.columns[key] = change.renamed
        moves.standing_in[key] = change.standing_in
    operations.ops[:] = [each for each in operations.ops if not _is_empty(each)]
    metadatas = _metadatas(context)
    if is_any_declared(metadatas) or None in seen.declared.values():
        comparison = AccessComparison(
            connection=context.connection,
            metadatas=metadatas,
            names=names,
            seen=seen,
            lookups=lookups,
            moves=moves,
        )
        removing, adding = comparison.operations()
        operations.ops[:] = [*removing, *operations.ops, *adding]


def _leave_foreign_tables(operations: UpgradeOps, seen: Seen) -> None:
    """Keep what is in the default schema, if the models have tables in other schemas only.

    Alembic looks into that schema always, whatever is said about names.
    """
    declared = [key for key, table in seen.declared.items() if table is not None]
    if not declared or any(schema is None for schema, _ in declared):
        return
    foreign = [key for key in seen.declared if key[0] is None]
    for key in foreign:
        del seen.live[key], seen.declared[key]
    operations.ops[:] = [each for each in operations.ops if _table_of(each) not in foreign]


def _table_of(operation: MigrateOperation) -> Key | None:
    if isinstance(operation, ModifyTableOps | DropTableOp):
        return (operation.schema, str(operation.table_name))
    return None


def _operations_of(operations: UpgradeOps, schema: str | None, table: str) -> ModifyTableOps:
    for each in operations.ops:
        if isinstance(each, ModifyTableOps) and (each.schema, each.table_name) == (schema, table):
            return each
    made = ModifyTableOps(table, [], schema=schema)
    operations.ops.append(made)
    return made


def _is_empty(operation: MigrateOperation) -> bool:
    return isinstance(operation, ModifyTableOps) and operation.is_empty()


def _metadatas(context: AutogenContext) -> list[MetaData]:
    declared = context.metadata
    return [declared] if isinstance(declared, MetaData) else list(declared or ())
