"""When an incoming index key may write what is searched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from vaultdb.db.places import Place
from vaultdb.db.quoting import qualified
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.jobs.rotation.index_keys import indexed_columns
from vaultdb.jobs.rotation.selection import keyset_of
from vaultdb.orm.companion import companion_of, second_companion_of

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, MetaData

    from vaultdb.jobs.rotation.plan import RowsPlan
    from vaultdb.jobs.rotation.usage import ColumnUsage

_IS_UNIQUE = text(shipped_sql("vaultdb.jobs.rotation", "unique_column"))


def incomplete(connection: Connection, metadatas: Iterable[MetaData], left: RowsPlan) -> str | None:
    """Return what keeps incoming keys from being promoted, with the remedy; None when nothing does.

    All second columns must be complete, and unique where they shall be.

    Args:
        connection: by the rotator's login.
        metadatas: the models.
        left: what the rotation has left to do.

    """
    keysets = {each.scope.keyset for each in left.index if each.is_incoming}
    older = {key.key_id for each in left.index if each.is_incoming for key in each.older}
    counted = {each.column.declared: each for each in left.found.columns if each.column.declared}
    for first, second, unique in _pairs(metadatas, keysets):
        before, after = counted[_place(first)], counted[_place(second)]
        missing = _rows_missing(before, after, older)
        if missing:
            return (
                f"{second} lacks the incoming key's value in {missing:,} rows; run: vaultdb rotate"
                " --dek"
            )
        if unique and not connection.scalar(_IS_UNIQUE, _names(second)):
            return (
                f"{second} has no unique index yet, so equal values could be stored twice; run:"
                " vaultdb migrate up"
            )
    return None


def _rows_missing(before: ColumnUsage, after: ColumnUsage, older: set[bytes]) -> int:
    stale = sum(count for key_id, count in after.rows.items() if key_id in older)
    return stale + max(0, after.nulls - before.nulls)


def _pairs(
    metadatas: Iterable[MetaData], keysets: set[str]
) -> Iterator[tuple[Column[Any], Column[Any], bool]]:
    for column in indexed_columns(metadatas):
        first, second = companion_of(column), second_companion_of(column)
        if first is not None and second is not None and keyset_of(column) in keysets:
            yield first, second, column.type.index.unique  # type: ignore[attr-defined]


def _place(column: Column[Any]) -> Place:
    return Place(column.table.schema or "", column.table.name, column.name)


def _names(column: Column[Any]) -> dict[str, str]:
    schema = [column.table.schema] if column.table.schema else []
    return {"table": qualified(*schema, column.table.name), "column": column.name}
