"""Which DEK a value is read with, and which keys rows may have."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

import vaultdb
from vaultdb import Encrypted
from vaultdb.errors import DecryptionError


def notes(keyset: str) -> Table:
    """Declare one table, as two programs might."""
    secret = Column("v", Encrypted(str, keyset=keyset))
    return Table("notes", MetaData(), Column("id", Integer, primary_key=True), secret)


ONE, TWO = notes("one"), notes("two")
LONG = Table(
    "long",
    MetaData(),
    Column("k", Text, primary_key=True),
    Column("v", Encrypted(str)),
)


@pytest.fixture
def connect(database, keyring):
    engine = vaultdb.create_engine(database.sqlalchemy_url, keyring=keyring)

    def connect(table):
        database.create_all(table.metadata)
        return engine.connect()

    yield connect
    engine.dispose()


def test_a_key_of_another_keyset_is_not_read_with(connect):
    with connect(ONE) as connection:
        connection.execute(insert(ONE), [{"id": 1, "v": "x"}])
        assert connection.scalars(select(ONE.c.v)).all() == ["x"]
        other = TWO.alias()
        joined = select(ONE.c.v, other.c.v).join(other, other.c.id == ONE.c.id)
        for statement in (select(TWO.c.v), joined):
            with pytest.raises(DecryptionError) as caught:
                connection.execute(statement).all()
            assert caught.value.reason == "wrong scope"


@pytest.mark.parametrize("size", [0, 1, 240, 249, 250, 251, 300, 2000])
def test_text_keys_of_any_size(connect, size):
    """From 250 bytes on the row binding takes more than 255."""
    with connect(LONG) as connection:
        connection.execute(insert(LONG), {"k": "k" * size, "v": "x"})
        for statement in (select(LONG.c.v), select(LONG.c.v).order_by(LONG.c.k)):
            assert connection.scalars(statement).all() == ["x"]


def test_a_flushed_keyring_is_asked_again_for_the_next_rows(connect, keyring):
    with connect(LONG) as connection:
        connection.execute(insert(LONG), [{"k": str(n), "v": str(n)} for n in range(4)])
        statement = select(LONG.c.v).order_by(LONG.c.k)
        with connection.execution_options(yield_per=2).execute(statement) as rows:
            assert rows.fetchmany(2) == [("0",), ("1",)]
            before = keyring.counters.misses
            keyring.flush()
            assert rows.fetchmany(2) == [("2",), ("3",)]
            assert keyring.counters.misses > before
