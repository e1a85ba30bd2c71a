"""Results in binary: only from the second execution on, and only where it makes no difference."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime

import psycopg
import pytest
from psycopg.pq import Format
from sqlalchemy import Column, Integer, MetaData, Table, event, literal_column, select, text
from sqlalchemy.orm import Session

import vaultdb
from tests.integration.orm.models import Base, Patient
from vaultdb import Encrypted
from vaultdb.errors import SchemaError
from vaultdb.orm.binary_results import SAFE_TYPES

# One literal and its Python value for each safe type; the values are written by hand.
LITERALS = {
    16: ("true", True),
    17: (r"'\x00ff'::bytea", b"\0\xff"),
    20: ("9223372036854775807::int8", 2**63 - 1),
    21: ("(-32768)::int2", -(2**15)),
    23: ("7::int4", 7),
    25: ("'ä\u200b\U0001f600'::text", "ä\u200b\U0001f600"),
    701: ("0.1::float8", 0.1),
    1043: ("'x  '::varchar", "x  "),
    1082: ("'0001-01-01'::date", date(1, 1, 1)),
    1114: ("'2000-01-02 03:04:05.000006'::timestamp", datetime(2000, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001
    1184: (
        "'2000-01-02 03:04:05.000006+00'::timestamptz",
        datetime(2000, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    ),
    2950: (
        "'00000000-0000-0000-0000-000000000005'::uuid",
        uuid.UUID(int=5),
    ),
}


def test_every_safe_type_is_tested():
    assert set(LITERALS) == SAFE_TYPES


@pytest.mark.parametrize("oid", sorted(LITERALS))
def test_a_safe_type_loads_to_the_same_value_in_text_and_in_binary(matrix, oid):
    literal, expected = LITERALS[oid]
    with psycopg.connect(matrix.url) as connection:
        for binary in (False, True):
            cursor = connection.execute(f"SELECT {literal}", binary=binary)
            assert cursor.pgresult.ftype(0) == oid
            (found,) = cursor.fetchone()
            assert (type(found), found) == (type(expected), expected)


@pytest.fixture
def formats(engine):
    """The format of each result of the engine."""
    seen: list[Format] = []

    def note(_connection, cursor, *_):
        if cursor.pgresult is not None and cursor.pgresult.nfields:
            seen.append(Format(cursor.pgresult.fformat(0)))

    event.listen(engine, "after_cursor_execute", note)
    engine.clear_compiled_cache()
    yield seen
    event.remove(engine, "after_cursor_execute", note)


def test_a_statement_is_fetched_in_binary_from_its_second_execution_on(session, formats):
    session.add(Patient(name="Ada", ssn="1", notes={"a": 1}))
    session.flush()
    formats.clear()
    for _ in range(3):
        session.expire_all()
        row = session.execute(select(Patient.id, Patient.name, Patient.notes)).one()
        assert (type(row.id), row.name, row.notes) == (uuid.UUID, "Ada", {"a": 1})
    assert formats == [Format.TEXT, Format.BINARY, Format.BINARY]


def test_statements_without_encrypted_columns_stay_in_text(session, formats):
    for _ in range(2):
        session.execute(select(Patient.id)).all()
    assert formats == [Format.TEXT, Format.TEXT]


@pytest.mark.parametrize(
    "literal",
    ["'{1}'::int[]", "'b'::\"char\"", "1::real", "1::numeric", "'1'::jsonb", "'1 s'::interval"],
)
def test_a_type_that_is_not_safe_keeps_the_statement_in_text(session, formats, literal):
    for _ in range(2):
        session.execute(select(Patient.name, literal_column(literal))).all()
    assert formats == [Format.TEXT, Format.TEXT]


def test_a_column_that_changes_its_type_is_noticed(database, keyring):
    metadata = MetaData()
    table = Table(
        "t",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("secret", Encrypted(str)),
        Column("plain", Integer),
    )
    database.create_all(metadata)
    engine = vaultdb.create_engine(database.sqlalchemy_url, keyring=keyring)
    with Session(engine) as session:
        session.execute(table.insert(), {"id": 1, "secret": "x", "plain": 1})
        session.commit()
        for _ in range(2):
            assert session.execute(select(table)).all() == [(1, "x", 1)]
        session.rollback()
        with database.connect() as connection:
            connection.execute("ALTER TABLE t ALTER plain TYPE money")
        with pytest.raises(SchemaError, match="run it again"):
            session.execute(select(table)).all()
        session.rollback()
        assert session.execute(select(table)).one().secret == "x"
        assert isinstance(session.execute(select(table)).one().plain, str)
    engine.dispose()


def test_textual_statements_and_ddl_do_not_mind(session, formats):
    session.execute(text("SELECT 1")).all()
    session.execute(text("SET LOCAL work_mem = '8MB'"))
    assert Base.metadata.tables
