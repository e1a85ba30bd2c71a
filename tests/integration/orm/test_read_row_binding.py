"""The server and Python make the same bytes of every key."""

from __future__ import annotations

import uuid
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    bindparam,
    cast,
    select,
)
from sqlalchemy.dialects.postgresql import VARCHAR

from vaultdb import Encrypted
from vaultdb.orm.row_key import row_key_of

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
DATES = st.dates()
KEYS = [
    (SmallInteger(), st.integers(-(1 << 15), (1 << 15) - 1)),
    (Integer(), st.integers(-(1 << 31), (1 << 31) - 1)),
    (BigInteger(), INT64),
    (Uuid(), st.uuids()),
    (Text(), TEXT),
    (VARCHAR(), TEXT),
    (String(collation="C"), TEXT),
    (LargeBinary(), st.binary()),
    (Date(), DATES),
]


def table(*types) -> Table:
    columns = [Column(f"k{n}", type_, primary_key=True) for n, type_ in enumerate(types)]
    return Table("t", MetaData(), *columns, Column("x", Encrypted(str)))


def server_bytes(connection, row_key, values, *, sized=False) -> bytes:
    """Ask PostgreSQL for the row binding of values as the table's types hold them."""
    held = select(
        *(
            cast(bindparam(None, value, type_=column.type), column.type).label(column.name)
            for column, value in zip(row_key.columns, values, strict=True)
        )
    ).subquery()
    build = row_key.sized_expression if sized else row_key.expression
    return connection.scalar(select(build(list(held.c))))


@pytest.fixture(scope="module")
def connection(engine):
    with engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("place", range(len(KEYS)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_single_key(connection, place, data):
    type_, values = KEYS[place]
    row_key = row_key_of(table(type_))
    value = data.draw(values)
    assert server_bytes(connection, row_key, [value]) == row_key.encode([value])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_composite_key(connection, data):
    chosen = data.draw(st.lists(st.sampled_from(range(len(KEYS))), min_size=2, max_size=5))
    row_key = row_key_of(table(*(KEYS[place][0] for place in chosen)))
    values = [data.draw(KEYS[place][1]) for place in chosen]
    assert server_bytes(connection, row_key, values) == row_key.encode(values)


@pytest.mark.parametrize(
    ("types", "values"),
    [
        ((Integer(),), [7]),
        ((Uuid(), Date()), [uuid.UUID(int=1), date(1970, 1, 1)]),
        ((Integer(),) * 3, [1, 2, 3]),
    ],
    ids=["integer", "uuid and date", "three"],
)
def test_a_size_that_is_a_constant_is_the_right_one(connection, types, values):
    row_key = row_key_of(table(*types))
    binding = row_key.encode(values)
    found = server_bytes(connection, row_key, values, sized=True)
    assert found == len(binding).to_bytes(4, "big") + binding
