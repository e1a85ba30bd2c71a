"""Preparing engines: once, with the right driver, without I/O, and undone with the engine."""

from __future__ import annotations

import pickle
from uuid import uuid4

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

import vaultdb
from vaultdb.db.connect import TransportWarning
from vaultdb.errors import ConfigurationError, NotPrepared, StatementRefused, ValueRefused
from vaultdb.orm.runtime import runtime_of
from vaultdb.settings import Settings
from vaultdb.testing import memory_keyring

metadata = MetaData()
note = Table(
    "note",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", String, unique=True),
    Column("body", vaultdb.Encrypted(str, index=vaultdb.Equality())),
)
pair = Table(
    "pair",
    metadata,
    Column("left", Integer, primary_key=True),
    Column("right", Integer, primary_key=True),
    Column("body", vaultdb.Encrypted(str, bind=("left",))),
)
loose = Table(
    "loose",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("body", vaultdb.Encrypted(str, bind="column")),
)


owned = Table(
    "owned",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", String),
    Column("body", vaultdb.Encrypted(str, tenant_column="owner")),
)


def _plain_engine():
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    return engine


@pytest.fixture
def engine():
    engine = vaultdb.install(_plain_engine(), keyring=memory_keyring())
    yield engine
    engine.dispose()


def test_an_engine_is_prepared_after_its_first_connection(engine):
    with engine.begin() as connection:
        connection.execute(insert(note), {"body": "a"})
        assert connection.execute(select(note.c.id, note.c.body)).all() == [(1, "a")]


def test_preparing_twice_changes_nothing(engine):
    keyring = runtime_of(engine.dialect).keyring
    assert vaultdb.install(engine, keyring=keyring) is engine
    assert vaultdb.install(engine) is engine
    assert runtime_of(engine.dialect).keyring is keyring
    calls = []
    event.listen(engine, "before_cursor_execute", lambda *args: calls.append(args[2]))
    with engine.begin() as connection:
        connection.execute(insert(note), {"id": 1, "body": "a"})
        assert connection.scalar(select(note.c.body)) == "a"
    assert len(calls) == 2
    assert type(engine.dialect).__mro__.count(sqlite.pysqlite.SQLiteDialect_pysqlite) == 1


def test_another_keyring_is_refused(engine):
    with pytest.raises(ConfigurationError, match="another keyring"):
        vaultdb.install(engine, keyring=memory_keyring())


@pytest.mark.parametrize("prepare", ["the view", "the engine"])
def test_views_of_an_engine_are_prepared_with_it(prepare):
    engine = _plain_engine()
    view = engine.execution_options(logging_token="x")
    vaultdb.install(view if prepare == "the view" else engine, keyring=memory_keyring())
    later = engine.execution_options(logging_token="y")
    for number, each in enumerate((engine, view, later)):
        with each.begin() as connection:
            connection.execute(insert(note), {"id": number, "body": "a"})
            assert connection.scalar(select(note.c.body).where(note.c.id == number)) == "a"
    engine.dispose()


def test_an_async_engine_is_prepared():
    pytest.importorskip("aiosqlite")
    engine = create_async_engine("sqlite+aiosqlite://")
    assert vaultdb.install(engine, keyring=memory_keyring()) is engine
    runtime_of(engine.sync_engine.dialect)


def test_reading_on_an_engine_that_is_not_prepared_says_what_is_missing():
    engine = _plain_engine()
    with engine.begin() as connection:
        connection.exec_driver_sql("insert into note (id, body) values (1, x'00')")
        with pytest.raises(NotPrepared, match=r"vaultdb\.install\(engine\)"):
            connection.scalar(select(note.c.body))
    engine.dispose()


def test_writing_on_an_engine_that_is_not_prepared_sends_nothing():
    engine = _plain_engine()
    with engine.begin() as connection:
        with pytest.raises(StatementRefused, match=r"vaultdb\.install\(engine\)") as refused:
            connection.execute(insert(note), {"id": 1, "body": "the secret"})
        assert connection.scalar(select(note.c.id)) is None
    assert "the secret" not in str(refused.value)
    engine.dispose()


class _Foreign:
    """As much of an engine as the check looks at: the other driver is not installed."""

    class dialect:
        name = "postgresql"
        driver = "psycopg2"


def test_another_driver_is_refused():
    with pytest.raises(ConfigurationError, match=r"postgresql\+psycopg2: .*postgresql\+psycopg://"):
        vaultdb.install(_Foreign(), keyring=memory_keyring())


def test_making_an_engine_connects_to_nothing():
    settings = Settings.load(
        realm=str(uuid4()),
        keys="vault",
        database={"url": "postgresql://nobody@127.0.0.1:1/none", "allow_insecure": True},
        vault={"addr": "https://127.0.0.1:1", "role_id": "r", "secret_id": "s"},
    )
    with pytest.warns(TransportWarning):
        engine = vaultdb.create_engine(settings=settings)
    assert engine.hide_parameters
    assert engine.dialect.driver == "psycopg"
    engine.dispose()


def test_memory_keys_are_shared_by_the_engines_of_a_process(tmp_path):
    settings = Settings.load(keys="memory", database={"url": f"sqlite:///{tmp_path}/notes.db"})
    first, second = (vaultdb.create_engine(settings=settings) for _ in range(2))
    metadata.create_all(first)
    with first.begin() as connection:
        connection.execute(insert(note), {"body": "a"})
    with second.connect() as connection:
        assert connection.scalar(select(note.c.body)) == "a"
    first.dispose()
    with first.connect() as connection:  # the keyring is opened again
        assert connection.scalar(select(note.c.body)) == "a"
    first.dispose()
    second.dispose()


def test_a_keyring_that_was_given_is_left_open(engine):
    keyring = runtime_of(engine.dialect).keyring
    engine.dispose()
    assert keyring.active("", "default")


def test_the_engines_tenant_applies_outside_of_a_block():
    engine = vaultdb.install(_plain_engine(), keyring=memory_keyring(), tenant="acme")
    assert runtime_of(engine.dialect).default_tenant == "acme"
    engine.dispose()


def test_a_runtime_is_not_pickled(engine):
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(runtime_of(engine.dialect))


# -- writing on SQLite -----------------------------------------------------------------------------


def test_numbers_are_made_on_sqlite_too(engine):
    with engine.begin() as connection:
        connection.execute(insert(note), [{"body": "a"}, {"body": "b"}])
        connection.execute(insert(note), [{"body": "c"}])
        rows = connection.execute(select(note.c.id, note.c.body).order_by(note.c.id)).all()
    assert rows == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.parametrize("value", ["excluded", "literal", None])
def test_upserts_on_sqlite(value, engine):
    with engine.begin() as connection:
        for body in ("a", "b"):
            statement = sqlite.insert(note).values(id=1, body=body)
            new = statement.excluded.body if value == "excluded" else value
            statement = statement.on_conflict_do_update(index_elements=["id"], set_={"body": new})
            connection.execute(statement)
        found = connection.scalar(select(note.c.body))
        assert found == {"excluded": "b", "literal": "literal", None: None}[value]
        if found is not None:
            assert connection.scalar(select(note.c.id).where(note.c.body == found)) == 1


def test_an_upsert_of_every_excluded_column_keeps_the_index(engine):
    with engine.begin() as connection:
        for body in ("a", "b"):
            statement = sqlite.insert(note).values(id=1, slug="s", body=body)
            every = {column.name: column for column in statement.excluded}
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=every))
        assert connection.scalar(select(note.c.id).where(note.c.body == "b")) == 1


def test_one_literal_for_several_rows_of_an_upsert_is_refused_unless_it_binds_to_no_row(engine):
    rows = [{"id": 1, "body": "a"}, {"id": 2, "body": "b"}]
    with engine.begin() as connection:
        for table in (note, loose):
            upsert = sqlite.insert(table).values(rows)
            upsert = upsert.on_conflict_do_update(index_elements=["id"], set_={"body": "c"})
            if table is note:
                with pytest.raises(StatementRefused, match=r"several rows one value of note\.body"):
                    connection.execute(upsert)
            else:
                connection.execute(upsert)
                connection.execute(upsert)
                assert connection.scalars(select(loose.c.body)).all() == ["c", "c"]


def test_an_upsert_cannot_move_a_row_to_another_key(engine):
    statement = sqlite.insert(note).values(id=2, slug="s")
    statement = statement.on_conflict_do_update(
        index_elements=["slug"], set_={"id": statement.excluded.id}
    )
    with (
        engine.begin() as connection,
        pytest.raises(StatementRefused, match=r"cannot change note\.id"),
    ):
        connection.execute(statement)


def test_a_key_that_is_not_unique_is_noticed_by_the_row_count(engine):
    """`bind=("left",)` promises that left is unique; the rows written before are rolled back."""
    with engine.begin() as connection:
        connection.execute(insert(pair), [{"left": 1, "right": n, "body": "a"} for n in range(2)])
    with (
        pytest.raises(StatementRefused, match="changed more rows than it has keys"),
        engine.begin() as connection,
    ):
        connection.execute(update(pair).where(pair.c.left == 1).values(body="b"))
    with engine.connect() as connection:
        assert set(connection.scalars(select(pair.c.body))) == {"a"}


def test_an_update_of_an_alias_is_refused(engine):
    other = note.alias()
    statement = update(other).where(other.c.id == 1).values(body="b")
    with (
        engine.begin() as connection,
        pytest.raises(StatementRefused, match="not a table of its own"),
    ):
        connection.execute(statement)


def test_the_companion_cannot_be_written(engine):
    with engine.begin() as connection:
        with pytest.raises(StatementRefused, match="body_index"):
            connection.execute(insert(note), {"id": 1, "body": "a", "body_index": b"x"})
        with pytest.raises(StatementRefused, match="body_index"):
            connection.execute(update(note).values(body_index=b"x"))


def test_a_row_must_name_the_tenant_that_it_is_encrypted_for(engine):
    with engine.begin() as connection, vaultdb.acting_as("test", tenant="acme"):
        connection.execute(insert(owned), {"id": 1, "owner": "acme", "body": "a"})
        connection.execute(insert(owned).values(id=2, owner="acme", body="b"))
        connection.execute(insert(owned), {"id": 3, "owner": "globex", "body": None})
        assert connection.scalars(select(owned.c.body).limit(2)).all() == ["a", "b"]
        for wrong in (
            insert(owned).values(id=4, owner="globex", body="c"),
            insert(owned).values([{"id": 4, "owner": "globex", "body": "c"}]),
            insert(owned).values(id=4, body="c"),
            update(owned).where(owned.c.id == 1).values(owner="globex", body="c"),
        ):
            with pytest.raises(ValueRefused, match=r"owned\.owner must name the tenant"):
                connection.execute(wrong)


def test_what_is_no_engine_is_refused():
    with pytest.raises(ConfigurationError, match="takes an Engine or an AsyncEngine, not str"):
        vaultdb.install("sqlite://", keyring=memory_keyring())
