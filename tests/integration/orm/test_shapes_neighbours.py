"""Plain columns of every type beside an encrypted one come back as they would without it."""

from __future__ import annotations

import enum
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    TypeDecorator,
    Unicode,
    Uuid,
    func,
    insert,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects import postgresql as pg

from vaultdb import Encrypted


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Upper(TypeDecorator):
    impl = String
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value and value.lower()

    def process_result_value(self, value, dialect):
        return value and value.upper()


NEIGHBOURS = {
    "smallint": (SmallInteger, -7),
    "integer": (Integer, 7),
    "bigint": (BigInteger, 1 << 40),
    "boolean": (Boolean, True),
    "float": (Float, 1.5),
    "double": (Double, 0.1),
    "numeric": (Numeric(12, 4), Decimal("1.2300")),
    "numeric as float": (Numeric(asdecimal=False), 1.25),
    "money": (pg.MONEY, "$1.00"),
    "varchar": (String(20), "ż"),
    "text": (Text, "a\nb"),
    "unicode": (Unicode, "💊"),
    "char": (pg.CHAR(4), "ab  "),
    "bytea": (LargeBinary, b"\x00\xff"),
    "date": (Date, date(2000, 2, 29)),
    "time": (Time, time(1, 2, 3)),
    "timetz": (Time(timezone=True), time(1, 2, 3, tzinfo=UTC)),
    "timestamp": (DateTime, datetime(2000, 1, 1, 1, 2, 3)),  # noqa: DTZ001
    "timestamptz": (DateTime(timezone=True), datetime(2000, 1, 1, tzinfo=UTC)),
    "interval": (Interval, timedelta(days=1, seconds=2)),
    "uuid": (Uuid, uuid.UUID(int=9)),
    "uuid as text": (Uuid(as_uuid=False), str(uuid.UUID(int=9))),
    "native enum": (Enum(Colour, name="colour"), Colour.BLUE),
    "enum as text": (Enum(Colour, native_enum=False), Colour.RED),
    "string enum": (Enum("x", "y", name="xy"), "x"),
    "json": (JSON, {"a": [1, None]}),
    "jsonb": (pg.JSONB, {"a": [1, "b"]}),
    "type decorator": (Upper, "ABC"),
    "array of integer": (ARRAY(Integer), [1, 2]),
    "array of text": (ARRAY(String), ["a", "b"]),
    "array of enum": (ARRAY(Enum(Colour, name="colour")), [Colour.RED]),
    "inet": (pg.INET, "10.0.0.1"),
    "cidr": (pg.CIDR, "10.0.0.0/8"),
    "macaddr": (pg.MACADDR, "08:00:2b:01:02:03"),
    "bit": (pg.BIT(3), "101"),
    "tsvector": (pg.TSVECTOR, "'a' 'b'"),
    "int4range": (pg.INT4RANGE, pg.Range(1, 5)),
    "daterange": (pg.DATERANGE, pg.Range(date(2000, 1, 1), date(2000, 2, 1))),
    "oid": (pg.OID, 42),
    "xid-like text": (Text, "42"),
}


@pytest.fixture(scope="module")
def tables(matrix):
    made = {}
    metadata = MetaData()
    for number, (name, (kind, _)) in enumerate(NEIGHBOURS.items()):
        made[name] = Table(
            f"neighbour_{number}",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("plain", kind),
            Column("secret", Encrypted(str)),
        )
    matrix.create_all(metadata)
    return made


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_the_same_value_with_and_without_an_encrypted_column(name, tables, engine):
    table, value = tables[name], NEIGHBOURS[name][1]
    with engine.begin() as connection:
        connection.execute(insert(table), [{"id": 1, "plain": value, "secret": "s"}])
        connection.execute(insert(table).values(id=2, plain=None, secret=None))
        for _ in range(2):  # from the cache too
            alone = connection.execute(select(table.c.plain).order_by(table.c.id)).scalars().all()
            beside = connection.execute(select(table).order_by(table.c.id)).all()
            assert [row.plain for row in beside] == alone
            assert [type(row.plain) for row in beside] == [type(v) for v in alone]
            assert [row.secret for row in beside] == ["s", None]
        returned = connection.execute(
            insert(table).values(id=3, plain=value, secret="t").returning(table)
        ).one()
        assert (returned.plain, returned.secret) == (alone[0], "t")


def test_expressions_beside_an_encrypted_column(tables, engine):
    table = tables["integer"]
    expressions = {
        "count": func.count().over(),
        "now": func.now().is_not(None),
        "array": func.array_agg(table.c.id).over(),
        "json": func.to_jsonb(table.c.plain),
        "numeric": literal_column("1.50::numeric"),
        "interval": text("interval '1 day'"),
        "null": text("NULL"),
        "row": literal_column("ROW(1, 'x')::text"),
        "bytea": literal_column("'\\x00ff'::bytea"),
        "unknown": literal_column("'x'"),
    }
    with engine.connect() as connection:
        for name, expression in expressions.items():
            plain = connection.execute(select(expression).select_from(table)).scalars().all()
            beside = connection.execute(select(expression, table.c.secret)).all()
            assert sorted(map(repr, plain)) == sorted(repr(row[0]) for row in beside), name
