"""Which key columns values can be bound to, and the bytes that Python makes of them."""

from __future__ import annotations

import uuid
from datetime import date
from itertools import count

import pytest
from sqlalchemy import (
    CHAR,
    BigInteger,
    Column,
    Computed,
    Date,
    DateTime,
    Enum,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.dialects.postgresql import CITEXT

from vaultdb import Encrypted
from vaultdb.errors import ConfigurationError, ValueRefused
from vaultdb.orm.row_key import row_key_of


def table(*keys: Column) -> Table:
    return Table("t", MetaData(), *keys, Column("x", Encrypted(str)), Column("note", Text))


def key(type_, *items, **options) -> Column:
    return Column("id", type_, *items, primary_key=True, **options)


class Shouting(TypeDecorator):
    impl = String
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value.upper()


class Plain(TypeDecorator):
    """Changes nothing, as SQLModel's AutoString."""

    impl = String
    cache_ok = True


# Expected bytes are written out after the layout in DESIGN §3: count, then tag, length, value.
@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        (Integer(), 1, "01 01 00000008 0000000000000001"),
        (SmallInteger(), -1, "01 01 00000008 ffffffffffffffff"),
        (BigInteger(), 2**40, "01 01 00000008 0000010000000000"),
        (Uuid(), uuid.UUID(int=5), "01 02 00000010 00000000000000000000000000000005"),
        (
            Uuid(as_uuid=False),
            "00000000-0000-0000-0000-000000000005",
            "01 02 00000010 00000000000000000000000000000005",
        ),
        (String(9), "ä", "01 03 00000002 c3a4"),
        (Text(), "", "01 03 00000000"),
        (String(collation="de-x-icu"), "a", "01 03 00000001 61"),
        (Plain(), "a", "01 03 00000001 61"),
        (LargeBinary(), b"\0", "01 04 00000001 00"),
        (Date(), date(2000, 1, 2), "01 05 00000004 00000001"),
    ],
    ids=count(),
)
def test_each_key_type_has_its_bytes(type_, value, expected):
    row_key = row_key_of(table(key(type_)))
    assert row_key.encode([value]).hex() == expected.replace(" ", "")


def test_composite_keys_keep_declared_order_and_do_not_run_together():
    first = row_key_of(table(key(String()), Column("b", String(), primary_key=True)))
    assert [column.name for column in first.columns] == ["id", "b"]
    assert first.encode(["ab", "c"]) != first.encode(["a", "bc"])


def test_a_value_of_another_type_is_refused():
    with pytest.raises(ValueRefused):
        row_key_of(table(key(Integer()))).encode(["1"])


def test_a_subset_of_the_key_can_be_named():
    declared = table(key(Integer()), Column("month", Integer, primary_key=True))
    assert [column.name for column in row_key_of(declared, ("id",)).columns] == ["id"]


def test_binding_to_the_column_needs_no_key():
    assert row_key_of(Table("t", MetaData(), Column("x", Encrypted(str))), "column").columns == ()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([key(CHAR(5))], "CHAR"),
        ([key(CITEXT())], "CITEXT"),
        ([key(Numeric())], "Numeric"),
        ([key(DateTime())], "DateTime"),
        ([key(Enum("a", "b", name="e"))], "Enum"),
        ([key(Shouting())], "changes values on their way"),
        ([key(Uuid(native_uuid=False))], "UUID stored as text"),
        ([key(String(collation="ignore_case"))], "ignore_case"),
        ([key(String().with_variant(CITEXT(), "postgresql"))], "CITEXT"),
        ([key(Integer().with_variant(Uuid(), "postgresql"))], "differs between dialects"),
        ([key(Integer(), Identity(always=True))], r"Identity\(\) without always=True"),
        ([key(Integer(), Computed("1"))], "computed"),
        ([key(Integer(), ForeignKey("o.id", onupdate="CASCADE"))], "leave onupdate= out"),
        ([key(Integer(), ForeignKey("o.id", onupdate="SET DEFAULT"))], "leave onupdate= out"),
        ([Column("id", Integer)], r"primary_key=True.*bind=\(\"id\",\).*bind=\"column\""),
    ],
    ids=count(),
)
def test_a_key_that_cannot_be_relied_on_is_refused_with_the_remedy(columns, words):
    with pytest.raises(ConfigurationError, match=words):
        row_key_of(table(*columns))


def test_a_variant_of_the_same_kind_changes_nothing():
    """The way to number rows on SQLite, whose only rowid type is INTEGER."""
    declared = table(key(BigInteger().with_variant(Integer(), "sqlite")))
    assert row_key_of(declared).encode([1]) == row_key_of(table(key(Integer()))).encode([1])


@pytest.mark.parametrize("type_", [CHAR(5), Numeric(), Shouting()], ids=repr)
def test_a_refused_key_can_be_left_alone_by_binding_to_the_column(type_):
    assert row_key_of(table(key(type_)), "column").columns == ()


@pytest.mark.parametrize("onupdate", [None, "NO ACTION", "restrict"])
def test_a_foreign_key_that_does_not_change_is_a_key(onupdate):
    other = Table("o", MetaData(), Column("id", Integer, primary_key=True))
    column = key(Integer(), ForeignKey(other.c.id, onupdate=onupdate))
    assert row_key_of(table(column)).columns[0].name == "id"


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        (("nowhere",), "no column"),
        (("note",), "not part of the primary key"),
    ],
)
def test_a_named_key_must_be_part_of_the_primary_key(bind, words):
    with pytest.raises(ConfigurationError, match=words):
        row_key_of(table(key(Integer())), bind)


def test_without_a_primary_key_a_named_column_must_not_be_null():
    with pytest.raises(ConfigurationError, match="nullable=False"):
        row_key_of(table(Column("id", Integer)), ("id",))
    assert row_key_of(table(Column("id", Integer, nullable=False)), ("id",)).columns
