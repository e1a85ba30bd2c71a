"""Declarations that cannot work are refused where they are made, or when mappers are configured."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    CHAR,
    Column,
    Computed,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column

from vaultdb import Encrypted, encrypted
from vaultdb.errors import VaultDBError


class Odd(TypeDecorator):
    impl = String
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value.lower()


def keyed(*key: Column, **kwargs):
    metadata = MetaData()
    Table("parent", metadata, Column("id", Integer, primary_key=True))
    table = Table("odd_key", metadata, *key, Column("secret", Encrypted(str, **kwargs)))
    return insert(table).values({"secret": "x"} | {c.name: "1" for c in key})


KEYS = {
    "char(n)": lambda: keyed(Column("id", CHAR(5), primary_key=True)),
    "citext": lambda: keyed(Column("id", CITEXT, primary_key=True)),
    "numeric": lambda: keyed(Column("id", Numeric, primary_key=True)),
    "float": lambda: keyed(Column("id", Float, primary_key=True)),
    "type decorator": lambda: keyed(Column("id", Odd, primary_key=True)),
    "generated always": lambda: keyed(
        Column("id", Integer, Identity(always=True), primary_key=True)
    ),
    "computed": lambda: keyed(Column("id", Integer, Computed("1 + 1"), primary_key=True)),
    "on update cascade": lambda: keyed(
        Column("id", ForeignKey("parent.id", onupdate="CASCADE"), primary_key=True)
    ),
    "no key": lambda: keyed(Column("id", Integer)),
    "an encrypted key": lambda: keyed(Column("id", Encrypted(int), primary_key=True)),
    "bind to an unknown column": lambda: keyed(
        Column("id", Integer, primary_key=True), bind=("nothing",)
    ),
    "bind to a column that is not unique": lambda: keyed(
        Column("id", Integer, primary_key=True), Column("ward", Integer), bind=("ward",)
    ),
    "bind to the value itself": lambda: keyed(
        Column("id", Integer, primary_key=True), bind=("secret",)
    ),
}


@pytest.mark.parametrize("build", [pytest.param(b, id=n) for n, b in KEYS.items()])
def test_a_key_that_values_cannot_be_bound_to(build, engine, sent):
    with pytest.raises(VaultDBError) as caught, engine.begin() as connection:
        connection.execute(build())
    assert sent == []
    assert len(str(caught.value)) > 40  # a name and a remedy


COLUMNS = {
    "unique": lambda: encrypted(str, unique=True),
    "primary key": lambda: encrypted(str, primary_key=True),
    "server default": lambda: encrypted(str, server_default="x"),
    "server onupdate": lambda: encrypted(str, server_onupdate=text("x")),
    "unknown type": lambda: encrypted(object),
    "unknown option": lambda: encrypted(str, indexed=True),
    "unknown bind": lambda: encrypted(str, bind="table"),
    "index that is none": lambda: encrypted(str, index=True),
    "empty keyset": lambda: encrypted(str, keyset=""),
    "negative padding": lambda: encrypted(str, pad=-1),
}


@pytest.mark.parametrize("build", [pytest.param(b, id=n) for n, b in COLUMNS.items()])
def test_an_option_that_cannot_work_is_refused_at_declaration(build):
    with pytest.raises((VaultDBError, TypeError)) as caught:
        build()
    assert str(caught.value)


@pytest.mark.parametrize("over", [UniqueConstraint("secret"), Index("ix", "secret")])
def test_a_unique_constraint_or_an_index_over_ciphertext_is_refused(over):
    """It would never find two equal values."""
    with pytest.raises(VaultDBError, match="Equality"):
        Table(
            "odd_index",
            MetaData(),
            Column("id", Integer, primary_key=True),
            Column("secret", Encrypted(str)),
            over,
        )


def test_a_foreign_key_on_an_encrypted_column_is_refused(engine, sent):
    metadata = MetaData()
    Table("parent", metadata, Column("id", Integer, primary_key=True))
    with pytest.raises(VaultDBError):
        table = Table(
            "odd_reference",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("secret", Encrypted(int), ForeignKey("parent.id")),
        )
        with engine.begin() as connection:
            connection.execute(insert(table).values(id=1, secret=1))
    assert sent == []


def test_nullability_against_the_annotation():
    class Base(DeclarativeBase):
        metadata = MetaData()

    with pytest.raises(VaultDBError, match="nullable"):

        class One(Base):
            __tablename__ = "one"
            id: Mapped[int] = mapped_column(primary_key=True)
            secret: Mapped[str] = encrypted(str, nullable=True)

        configure_mappers()
        select(One)


def test_an_encrypted_discriminator_is_refused(engine, sent):
    class Base(DeclarativeBase):
        metadata = MetaData()

    with pytest.raises(VaultDBError):

        class Thing(Base):
            __tablename__ = "odd_thing"
            id: Mapped[int] = mapped_column(primary_key=True)
            kind: Mapped[str] = encrypted(str)
            __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "thing"}

        class Part(Thing):
            __mapper_args__ = {"polymorphic_identity": "part"}

        from sqlalchemy.orm import Session

        with Session(engine) as session:
            session.scalars(select(Part)).all()
    assert sent == []


def test_two_columns_of_one_logical_name_are_refused():
    with pytest.raises(VaultDBError, match="logical"):
        Table(
            "odd_names",
            MetaData(),
            Column("id", Integer, primary_key=True),
            Column("one", Encrypted(str, logical_name="same")),
            Column("two", Encrypted(str, logical_name="same")),
        )


def test_a_composite_foreign_key_with_on_update_cascade_is_refused(engine, sent):
    metadata = MetaData()
    Table(
        "parent2",
        metadata,
        Column("a", Integer, primary_key=True),
        Column("b", Integer, primary_key=True),
    )
    table = Table(
        "odd_child",
        metadata,
        Column("a", Integer, primary_key=True),
        Column("b", Integer, primary_key=True),
        Column("secret", Encrypted(str)),
        ForeignKeyConstraint(["a", "b"], ["parent2.a", "parent2.b"], onupdate="CASCADE"),
    )
    with pytest.raises(VaultDBError), engine.begin() as connection:
        connection.execute(insert(table).values(a=1, b=1, secret="x"))
    assert sent == []
