"""What encrypted columns are in the database, and what is done when their tables are made."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    create_engine,
    create_mock_engine,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

import vaultdb
from vaultdb import Encrypted, Equality
from vaultdb.errors import DecryptionError, NotPrepared, SchemaError, StatementRefused

SQLALCHEMY = ("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture
def table() -> Table:
    return Table(
        "note",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("body", Encrypted(str, index=Equality(unique=True))),
        Column("blob", Encrypted(bytes)),
    )


@pytest.fixture
def made(table, database, keyring):
    database.create_all(table.metadata)
    engine = vaultdb.create_engine(database.sqlalchemy_url, keyring=keyring)
    yield engine
    engine.dispose()


def test_a_migrator_without_keys_makes_the_tables(made, database):
    with database.connect() as connection:
        storage = connection.execute(
            "SELECT attname, atttypid::regtype::text, attstorage::text FROM pg_attribute "
            "WHERE attrelid = 'note'::regclass AND attnum > 1 ORDER BY attnum"
        ).fetchall()
    assert storage == [
        ("body", "vaultdb.envelope", "e"),
        ("blob", "vaultdb.envelope", "e"),
        ("body_index", "bytea", "x"),
    ]


def test_the_companion_has_a_unique_index(made, database):
    (index,) = inspect(made).get_indexes("note")
    assert (index["column_names"], index["unique"]) == (["body_index"], True)


def test_a_second_equal_value_is_refused_by_the_server_and_by_tenant(made, table):
    with made.begin() as connection:
        connection.execute(insert(table), {"id": 1, "body": "same"})
    with made.begin() as connection, vaultdb.acting_as("x", tenant="other"):
        connection.execute(insert(table), {"id": 2, "body": "same"})
    with pytest.raises(IntegrityError) as caught, made.begin() as connection:
        connection.execute(insert(table), {"id": 3, "body": "same"})
    assert caught.value.orig.sqlstate == "23505"


def test_a_plaintext_written_past_sqlalchemy_is_refused_by_the_domain(made):
    with pytest.raises(IntegrityError, match="envelope_check"), made.begin() as connection:
        connection.execute(text("INSERT INTO note (id, blob) VALUES (1, 'plaintext')"))


def test_an_unmigrated_database_is_said_to_be_one(table, postgres):
    database = postgres.create_database(template="template0")
    engine = create_engine(database.url_for("vaultdb_app").replace(*SQLALCHEMY))
    with pytest.raises(SchemaError, match="vaultdb migrate up"):
        table.metadata.create_all(engine)
    engine.dispose()
    postgres.drop_database(database.name)


def test_reflection_finds_bytes_and_nothing_encrypted(made, table):
    with made.begin() as connection:
        connection.execute(insert(table), {"id": 1, "body": "x", "blob": b"y"})
        reflected = Table("note", MetaData(), autoload_with=connection)
        assert not [c for c in reflected.c if isinstance(c.type, Encrypted)]
        stored = connection.execute(select(reflected)).one()
        assert stored.body[:1] == stored.blob[:1] == b"\xf6"
        assert stored.body_index[:1] == b"\xb1"


def test_a_mock_engine_prints_the_tables_without_asking_a_server(table):
    printed: list[str] = []
    engine = create_mock_engine(
        "postgresql+psycopg://",
        lambda sql, *_, **__: printed.append(str(sql.compile(dialect=engine.dialect))),
    )
    table.metadata.create_all(engine, checkfirst=False)
    assert "body vaultdb.envelope" in printed[0]


def test_the_tables_of_sqlite_hold_blobs(table):
    engine = create_engine("sqlite://")
    assert "body BLOB" in str(CreateTable(table).compile(engine))
    table.metadata.create_all(engine)


def test_an_engine_that_is_not_prepared_says_which_line_is_missing(made, table, database):
    with made.begin() as connection:
        connection.execute(insert(table), {"id": 1, "body": "x"})
    plain = create_engine(database.sqlalchemy_url)
    with plain.connect() as connection:
        with pytest.raises(NotPrepared, match=r"vaultdb\.install\(engine\)"):
            connection.execute(select(table)).all()
        with pytest.raises(NotPrepared, match=r"vaultdb\.install\(engine\)") as caught:
            connection.execute(select(table.c.id).where(table.c.body == "s3cret")).all()
        assert "s3cret" not in repr(caught.value.__dict__)
    plain.dispose()


def test_a_plaintext_on_an_engine_that_is_not_prepared_reaches_neither_server_nor_error(
    made, table, database
):
    plain = create_engine(database.sqlalchemy_url)
    with (
        plain.connect() as connection,
        pytest.raises(StatementRefused, match=r"vaultdb\.install\(engine\)") as caught,
    ):
        connection.execute(insert(table), {"id": 1, "body": "s3cret"})
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert "s3cret" not in "".join(f"{e!r} {getattr(e, 'params', '')}" for e in chain)
    plain.dispose()


def test_bytes_that_are_no_envelope_are_an_error(database, keyring):
    """A table made by hand, without the domain."""
    table = Table(
        "loose",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("body", Encrypted(bytes)),
        Column("free", Encrypted(bytes, bind="column")),
    )
    with database.connect() as connection:
        connection.execute("CREATE TABLE loose (id int PRIMARY KEY, body bytea, free bytea)")
        connection.execute("GRANT ALL ON loose TO vaultdb_rw")
        for key, value in enumerate((b"", b"plaintext", b"\xf6", b"\xf6" + bytes(80), b"\0" * 80)):
            connection.execute("INSERT INTO loose VALUES (%s, %s, %s)", (key, value, value))
    engine = vaultdb.create_engine(database.sqlalchemy_url, keyring=keyring)
    with engine.connect() as connection:
        for key in range(5):
            for column in (table.c.body, table.c.free):
                with pytest.raises(DecryptionError):
                    connection.execute(select(column).where(table.c.id == key)).all()
    engine.dispose()
