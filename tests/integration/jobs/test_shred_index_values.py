"""Index values of what was shredded are removed, batch by batch, and no others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, String, Table, Uuid
from sqlalchemy import create_engine as plain_engine

from tests.fixtures.postgres import Database
from vaultdb import Encrypted, Equality
from vaultdb.jobs.shred.index_values import IndexTable, Match, index_tables, scrub

metadata = MetaData()
composite = Table(
    "Odd 50% table",
    metadata,
    Column("order", Uuid, primary_key=True),
    Column("tenant", String(9), primary_key=True),
    Column("name", Encrypted(str, index=Equality())),
    Column("must", Encrypted(str, index=Equality(unique=True)), nullable=False),
)
keyless = Table("keyless", metadata, Column("name", Encrypted(str, index=Equality())))
plain = Table("plain", metadata, Column("id", Integer, primary_key=True))

OURS, THEIRS = bytes([1]) * 16, bytes([2]) * 16
OUR_DEK, THEIR_DEK = bytes([3]) * 16, bytes([4]) * 16


def envelope(key_id: bytes) -> bytes:
    return b"\xf6\x01" + key_id + os.urandom(60)


def index_value(key_id: bytes) -> bytes:
    return b"\xb1\x01" + key_id[:8] + os.urandom(16)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """The rotator's, with 25 rows of ours and 25 of theirs in each table."""
    database.create_all(metadata)
    with database.connect() as connection:
        connection.execute('GRANT SELECT, UPDATE ON "Odd 50% table", keyless TO vaultdb_rotator')
        for key, dek in ((OURS, OUR_DEK), (THEIRS, THEIR_DEK)) * 25:
            connection.execute(
                'INSERT INTO "Odd 50%% table" VALUES (%s, %s, %s, %s, %s, %s)',
                [uuid4(), key[:1].hex(), envelope(dek), envelope(dek),
                 *(index_value(key) for _ in range(2))],
            )  # fmt: skip
            values = [envelope(dek), index_value(key)]
            connection.execute("INSERT INTO keyless VALUES (%s, %s)", values)
    made = plain_engine(database.rotator_url.replace("postgresql://", "postgresql+psycopg://", 1))
    yield made
    made.dispose()


def tables(engine: Engine) -> dict[str, IndexTable]:
    with engine.connect() as connection:
        return {table.name: table for table in index_tables(connection, [metadata])}


def indexes(database: Database, table: str, *columns: str) -> set[tuple[bytes | None, ...]]:
    with database.connect() as connection:
        names = ", ".join(columns)
        return set(connection.execute(f'SELECT {names} FROM "{table}"'.encode()).fetchall())


MATCHES = [Match(index_key_ids=[OURS]), Match(key_ids=[OUR_DEK])]


@pytest.mark.parametrize("match", MATCHES, ids=["of a tenant", "of a data subject"])
def test_ours_go_in_batches_and_theirs_stay(
    engine: Engine, database: Database, match: Match
) -> None:
    names = ("name_index", "must_index")
    before = indexes(database, "Odd 50% table", *names)
    table = tables(engine)["Odd 50% table"]
    transactions = []

    @contextmanager
    def begin() -> Iterator[Connection]:
        transactions.append(1)
        with engine.begin() as connection:
            yield connection

    assert scrub(begin, table, match, size=7) == 25
    assert len(transactions) == 5, "four batches, and one that finds nothing"
    after = indexes(database, "Odd 50% table", *names)
    theirs = {pair for pair in before if pair[0] is not None and pair[0][2:10] == THEIRS[:8]}
    assert theirs <= after
    ours = after - theirs
    assert len(ours) == 25, "random values differ, so that UNIQUE holds"
    for name, must in ours:
        assert name is None
        assert must is not None
        assert must[:10] == b"\xb1\x01" + bytes(8)
        assert must not in {pair[1] for pair in before}
    assert scrub(engine.begin, table, match) == 0, "what was removed is not found again"


@pytest.mark.parametrize("match", MATCHES)
def test_a_table_without_a_key_is_done_at_once(
    engine: Engine, database: Database, match: Match
) -> None:
    table = tables(engine)["keyless"]
    assert scrub(engine.begin, table, match) == 25
    left = [value for (value,) in indexes(database, "keyless", "name_index")]
    assert left.count(None) == 1, "a set has NULL once"
    assert len(left) == 26
    assert scrub(engine.begin, table, match) == 0


def test_a_run_that_was_killed_goes_on_where_it_stopped(engine: Engine) -> None:
    table = tables(engine)["Odd 50% table"]
    left = 2

    @contextmanager
    def dying() -> Iterator[Connection]:
        nonlocal left
        left -= 1
        if left < 0:
            raise ConnectionError
        with engine.begin() as connection:
            yield connection

    with pytest.raises(ConnectionError):
        scrub(dying, table, MATCHES[0], size=7)
    assert scrub(engine.begin, table, MATCHES[0], size=7) == 25 - 14


def test_tables_without_indexes_and_columns_that_are_not_there_are_left_out(
    engine: Engine, database: Database
) -> None:
    with database.connect() as connection:
        connection.execute('ALTER TABLE "Odd 50% table" DROP COLUMN must_index')
    found = tables(engine)
    assert set(found) == {"Odd 50% table", "keyless"}
    assert [column.companion for column in found["Odd 50% table"].columns] == ["name_index"]
