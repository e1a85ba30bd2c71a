"""How many rows are under which data key, per column, without decrypting any.

The key id stands in the clear at a fixed place of each value: 16 bytes from the third of an
envelope, the first 8 of them from the third of a blind-index value.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from vaultdb.crypto.limits import INDEX_KEY_ID_SIZE, KEY_ID_SIZE
from vaultdb.jobs.rotation.stored_columns import StoredColumn, stored_columns
from vaultdb.keys.wrapped_key import Purpose, WrappedKey

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from vaultdb.db.places import Place

_OFFSET = 3
"""Where the key id starts, counted from 1: behind magic and suite, or magic and version."""
_SIZES = {Purpose.DATA: KEY_ID_SIZE, Purpose.INDEX: INDEX_KEY_ID_SIZE}
_FETCHED = 10_000
"""Groups per round trip: there are many only where each data subject has a key of its own."""


@dataclass(frozen=True, slots=True)
class ColumnUsage:
    """The rows of one column.

    Args:
        column: which one.
        rows: by key id; of a blind index that is the id of the key whose id begins like that.
        unknown: likewise, of ids that the key table does not know, 16 or 8 bytes.
        nulls: rows without a value.

    """

    column: StoredColumn
    rows: Mapping[bytes, int] = field(default_factory=dict)
    unknown: Mapping[bytes, int] = field(default_factory=dict)
    nulls: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """All columns, beside the keys of the realm.

    Args:
        columns: by table.
        keys: by key id.

    """

    columns: tuple[ColumnUsage, ...]
    keys: Mapping[bytes, WrappedKey]

    @property
    def is_complete(self) -> bool:
        """Whether every column could be read."""
        return not any(each.column.problem for each in self.columns)

    @property
    def has_unknown(self) -> bool:
        """Whether a value names a key that the key table does not have."""
        return any(each.unknown for each in self.columns)

    def users(self, key_id: bytes) -> list[tuple[Place, int]]:
        """Return the columns that have rows under a key, and how many."""
        return [
            (each.column.place, each.rows[key_id]) for each in self.columns if key_id in each.rows
        ]

    def by_key(self) -> Counter[bytes]:
        """Return how many values there are under each key that has any."""
        total: Counter[bytes] = Counter()
        for each in self.columns:
            total.update(each.rows)
        return total


def usage(
    connection: Connection, metadatas: Iterable[MetaData], keys: Sequence[WrappedKey]
) -> Usage:
    """Count the rows under each key: one scan of each table, however many columns it has.

    Args:
        connection: by a login that sees all rows of the key ids' columns.
        metadatas: the models; columns of the domain that none declares are counted, too.
        keys: all keys of the realm.

    """
    return count_usage(connection, stored_columns(connection, metadatas), keys)


def count_usage(
    connection: Connection, columns: Iterable[StoredColumn], keys: Sequence[WrappedKey]
) -> Usage:
    """Count the rows of these columns under each key; those with a problem are not read."""
    known = _Known(keys)
    found: list[ColumnUsage] = []
    for (schema, table), group in groupby(columns, lambda column: column.place.table):
        members = list(group)
        readable = [column for column in members if column.problem is None]
        found += [ColumnUsage(column) for column in members if column.problem is not None]
        if readable:
            counts = _scan(_driver(connection), sql.Identifier(schema, table), readable)
            found += [
                known.sorted(column, count) for column, count in zip(readable, counts, strict=True)
            ]
    return Usage(tuple(found), {key.key_id: key for key in keys})


class _Known:
    """Finds the key of a stored id."""

    def __init__(self, keys: Sequence[WrappedKey]) -> None:
        self._by_id = {
            purpose: {key.key_id[:size]: key.key_id for key in keys if key.scope.purpose is purpose}
            for purpose, size in _SIZES.items()
        }

    def sorted(self, column: StoredColumn, counts: Counter[bytes | None]) -> ColumnUsage:
        """Tell known ids from unknown ones."""
        ids = self._by_id[column.purpose]
        parts: defaultdict[bool, dict[bytes, int]] = defaultdict(dict)
        for stored, count in counts.items():
            if stored is not None:
                parts[stored in ids][ids.get(stored, stored)] = count
        return ColumnUsage(column, parts[True], parts[False], counts[None])


def _scan(
    driver: psycopg.Connection[Any], table: sql.Identifier, columns: Sequence[StoredColumn]
) -> list[Counter[bytes | None]]:
    """Group by the ids of all columns at once: the rows of a tenant mostly share them."""
    ids = [_id_of(column) for column in columns]
    numbers = [sql.Literal(number) for number in range(1, len(ids) + 1)]
    comma = sql.SQL(", ")
    statement = sql.SQL("SELECT {}, count(*) FROM {} AS t GROUP BY {}").format(
        comma.join(ids), table, comma.join(numbers)
    )
    counts: list[Counter[bytes | None]] = [Counter() for _ in columns]
    for *key_ids, rows in _rows(driver, statement):
        for count, key_id in zip(counts, key_ids, strict=True):
            count[None if key_id is None else bytes(key_id)] += rows
    return counts


def _id_of(column: StoredColumn) -> sql.Composed:
    return sql.SQL("pg_catalog.substr(t.{}::bytea, {}, {})").format(
        sql.Identifier(column.place.column),
        sql.Literal(_OFFSET),
        sql.Literal(_SIZES[column.purpose]),
    )


def _rows(driver: psycopg.Connection[Any], statement: sql.Composed) -> Iterator[tuple[Any, ...]]:
    with psycopg.ServerCursor(driver, "vaultdb_usage") as cursor:
        cursor.itersize = _FETCHED
        cursor.execute(statement)
        yield from cursor


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    return connection.connection.driver_connection  # type: ignore[return-value]
