"""Remove the blind-index values of what was shredded: they still tell which rows were equal.

A companion that may be NULL becomes NULL. One of a column that may not be NULL gets a random value
under an index key id of zeros, which no search ever asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from vaultdb.crypto.limits import INDEX_KEY_ID_SIZE, KEY_ID_SIZE
from vaultdb.db.places import Place, existing_places
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.companion import companions_of

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Column, Connection, MetaData, Table

BATCH_SIZE = 1000
"""Rows of one transaction: locks are held for milliseconds."""
NOBODY = bytes(INDEX_KEY_ID_SIZE)
"""The index key id of values that were replaced: no key has it."""

_OFFSET = 3
"""Where a key id starts, counted from 1: behind magic and suite, or magic and version."""

# 16 bytes of a version-4 UUID hashed with another: random enough to be equal to nothing.
_RANDOM = """pg_catalog.substr(pg_catalog.sha256(
    pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
    || pg_catalog.uuid_send(pg_catalog.gen_random_uuid())), 1, 16)"""

_BATCH = """
    WITH batch AS MATERIALIZED (
        SELECT {keys} FROM {table} AS t WHERE {after} AND ({found})
        ORDER BY {order} LIMIT %(size)s FOR NO KEY UPDATE
    ), changed AS (
        UPDATE {table} AS t SET {changes} FROM batch AS b WHERE {same}
        RETURNING 1
    )
    SELECT {shown}, (SELECT count(*) FROM changed) FROM batch AS b ORDER BY {descending} LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class IndexColumn:
    """A companion and the encrypted column that it serves, by their names in the database."""

    companion: str
    value: str
    is_nullable: bool


@dataclass(frozen=True, slots=True)
class IndexTable:
    """A table with companions."""

    schema: str
    name: str
    keys: tuple[str, ...]
    columns: tuple[IndexColumn, ...]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class Match:
    """Which index values to remove.

    Args:
        index_key_ids: all under one of these index keys: those of a tenant.
        key_ids: all beside a value under one of these data keys: those of a data subject.

    """

    index_key_ids: Collection[bytes] = ()
    key_ids: Collection[bytes] = ()

    @property
    def parameters(self) -> dict[str, list[bytes]]:
        """What the statements need."""
        return {
            "index_key_ids": [key_id[:INDEX_KEY_ID_SIZE] for key_id in self.index_key_ids],
            "key_ids": list(self.key_ids),
        }


def index_tables(connection: Connection, metadatas: Iterable[MetaData]) -> list[IndexTable]:
    """Return the tables of the models that have companions in the database."""
    tables = [table for each in metadatas for table in each.tables.values()]
    there = existing_places(
        connection, [_place(column) for table in tables for column in table.columns]
    )
    found = []
    for table in tables:
        columns = tuple(_companions(table, there))
        if columns:
            keys = tuple(column.name for column in table.primary_key.columns)
            found.append(IndexTable(table.schema or "", table.name, keys, columns))
    return found


def scrub(
    begin: Callable[[], Any],
    table: IndexTable,
    match: Match,
    *,
    size: int = BATCH_SIZE,
) -> int:
    """Remove index values from a table, a batch to a transaction; return how many rows changed.

    A run that was killed is run again: what was removed is not found again.

    Args:
        begin: opens a transaction of the shredder's login, as a context manager.
        table: which one.
        match: which values.
        size: rows of a batch.

    """
    changed = 0
    last: Sequence[Any] | None = None
    while True:
        with begin() as connection:
            driver: psycopg.Connection[Any] = connection.connection.driver_connection
            row = driver.execute(*_statement(table, match, last, size)).fetchone()
        if row is None:
            return changed
        *last, count = row
        changed += int(count)
        if not table.keys:  # all at once
            return changed


def _statement(
    table: IndexTable, match: Match, last: Sequence[Any] | None, size: int
) -> tuple[sql.Composed, dict[str, Any]]:
    place = _name(*([table.schema] if table.schema else []), table.name)
    parameters: dict[str, Any] = {**match.parameters, "size": size}
    found = sql.SQL(" OR ").join(_found(column) for column in table.columns)
    changes = sql.SQL(", ").join(_change(column) for column in table.columns)
    if not table.keys:
        statement = sql.SQL(
            "WITH changed AS (UPDATE {} AS t SET {} WHERE {} RETURNING 1)"
            " SELECT count(*) FROM changed"
        ).format(place, changes, found)
        return statement, parameters
    keys = [_name("t", key) for key in table.keys]
    after: sql.Composable = sql.SQL("true")
    if last is not None:
        marks = [sql.Placeholder(f"key{number}") for number in range(len(last))]
        parameters |= {f"key{number}": value for number, value in enumerate(last)}
        after = sql.SQL("({}) > ({})").format(_list(keys), _list(marks))
    shown = [_name("b", key) for key in table.keys]
    same = [sql.SQL("{} = {}").format(one, two) for one, two in zip(keys, shown, strict=True)]
    statement = sql.SQL(_BATCH).format(
        table=place, keys=_list(keys), after=after, found=found, order=_list(keys),
        changes=changes, same=sql.SQL(" AND ").join(same), shown=_list(shown),
        descending=_list([sql.SQL("{} DESC").format(each) for each in shown]),
    )  # fmt: skip
    return statement, parameters


def _found(column: IndexColumn) -> sql.Composed:
    companion, value = (_name("t", name) for name in (column.companion, column.value))
    owner = sql.SQL("pg_catalog.substr({}::bytea, {}, {})").format(
        companion, sql.Literal(_OFFSET), sql.Literal(INDEX_KEY_ID_SIZE)
    )
    data_key = sql.SQL("pg_catalog.substr({}::bytea, {}, {})").format(
        value, sql.Literal(_OFFSET), sql.Literal(KEY_ID_SIZE)
    )
    return sql.SQL(
        "({owner} = ANY(%(index_key_ids)s::bytea[])"
        " OR {key} = ANY(%(key_ids)s::bytea[]) AND {owner} <> {nobody})"
    ).format(owner=owner, key=data_key, nobody=sql.Literal(NOBODY))


def _change(column: IndexColumn) -> sql.Composed:
    companion = _name("t", column.companion)
    instead: sql.Composable = sql.SQL("NULL")
    if not column.is_nullable:
        instead = sql.SQL("pg_catalog.substr({}::bytea, 1, {}) || {} || {}").format(
            companion, sql.Literal(_OFFSET - 1), sql.Literal(NOBODY), sql.SQL(_RANDOM)
        )
    return sql.SQL("{} = CASE WHEN {} THEN {} ELSE {} END").format(
        _name(column.companion), _found(column), instead, companion
    )


def _name(*parts: str) -> sql.Identifier:
    """Return a name for a statement with parameters, in which a percent sign means something."""
    return sql.Identifier(*(part.replace("%", "%%") for part in parts))


def _list(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _companions(table: Table, there: Collection[Place]) -> Iterator[IndexColumn]:
    for value in encrypted_columns(table):
        for column in companions_of(value):
            if _place(column) in there and _place(value) in there:
                yield IndexColumn(column.name, value.name, bool(column.nullable))


def _place(column: Column[Any]) -> Place:
    return Place(column.table.schema or "", column.table.name, column.name)
