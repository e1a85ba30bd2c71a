"""The companion column: where it comes from, and that nobody maps it."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, MetaData, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column, registry

from vaultdb import Encrypted, Equality, encrypted
from vaultdb.crypto.blind_index import EQUALITY, BlindIndex
from vaultdb.crypto.limits import INDEX_VALUE_SIZE
from vaultdb.errors import ConfigurationError, ValueRefused
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose
from vaultdb.orm.companion import (
    companion_of,
    companion_value,
    companion_values,
    companions_of,
    is_companion,
    second_companion_of,
)


def table(*columns, name="t", metadata=None):
    key = Column("id", Integer, primary_key=True)
    return Table(name, metadata if metadata is not None else MetaData(), key, *columns)


class Key:
    """An index key with a DEK of a test's choice."""

    state = KeyState.ACTIVE

    def __init__(self, dek=bytes(32)):
        from uuid import UUID

        self.scope = KeyScope("", "default", Purpose.INDEX)
        self.index_digest = BlindIndex(dek, realm=UUID(int=0), tenant="").digest


def test_an_index_adds_a_companion_column_behind_the_others():
    declared = table(
        Column("ssn", Encrypted(str, index=Equality(unique=True))), Column("x", Integer)
    )
    assert declared.c.keys() == ["id", "ssn", "x", "ssn_index"]
    companion = companion_of(declared.c.ssn)
    assert companion is declared.c.ssn_index
    assert [(index.name, index.unique) for index in declared.indexes] == [("ix_t_ssn_index", True)]


@pytest.mark.parametrize("nullable", [True, False])
def test_a_companion_may_be_null_where_its_column_may(nullable):
    declared = table(Column("a", Encrypted(str, index=Equality()), nullable=nullable))
    assert declared.c.a_index.nullable is nullable


def test_a_column_without_index_has_no_companion():
    assert companion_of(table(Column("a", Encrypted(str))).c.a) is None


def test_a_copied_table_has_one_companion_of_its_own():
    declared = table(Column("a", Encrypted(str, index=Equality())))
    copied = declared.to_metadata(MetaData(), name="t2")
    again = copied.to_metadata(MetaData(), schema="x")
    for each in (copied, again):
        assert each.c.keys() == ["id", "a", "a_index"]
        assert companion_of(each.c.a) is each.c.a_index


def test_a_column_appended_later_gets_its_companion_too():
    declared = table(Column("a", Encrypted(str)))
    declared.append_column(Column("b", Encrypted(str, index=Equality())))
    assert "b_index" in declared.c


def test_a_column_appended_to_a_table_without_encrypted_columns_gets_its_companion_too():
    declared = table()
    declared.append_column(Column("b", Encrypted(str, index=Equality())))
    assert "b_index" in declared.c


def test_a_name_that_is_taken_is_refused_with_the_remedy():
    with pytest.raises(ConfigurationError, match=r"Equality\(name="):
        table(Column("a_index", LargeBinary), Column("a", Encrypted(str, index=Equality())))
    declared = table(
        Column("a_index", LargeBinary), Column("a", Encrypted(str, index=Equality(name="a_tag")))
    )
    assert companion_of(declared.c.a).name == "a_tag"


def test_a_column_copied_without_its_companion_is_refused_when_it_is_used():
    declared = table(Column("a", Encrypted(str, index=Equality())))
    declared._columns.remove(declared.c.a_index)
    with pytest.raises(ConfigurationError, match="to_metadata"):
        companion_of(declared.c.a)


def test_companions_are_not_mapped_in_any_inheritance():
    class Base(DeclarativeBase):
        registry = registry()

    class Person(Base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        ssn: Mapped[str] = encrypted(str, index=Equality())
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}

    class Doctor(Person):
        __tablename__ = "doctor"
        id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
        licence: Mapped[str] = encrypted(str, index=Equality())
        __mapper_args__ = {"polymorphic_identity": "doctor"}

    class Nurse(Person):
        badge: Mapped[str | None] = encrypted(str, index=Equality(), nullable=True)
        __mapper_args__ = {"polymorphic_identity": "nurse"}

    configure_mappers()
    for model in (Person, Doctor, Nurse):
        assert not [a.key for a in model.__mapper__.column_attrs if a.key.endswith("_index")]
    assert {"ssn_index", "badge_index"} <= set(Person.__table__.c.keys())
    assert "licence_index" in Doctor.__table__.c


def test_the_value_is_26_bytes_and_equal_for_equal_values_only():
    column = table(Column("a", Encrypted(str, index=Equality()))).c.a
    first, same, other = (companion_value(column, value, [Key()]) for value in ("x", "x", "y"))
    assert len(first) == INDEX_VALUE_SIZE
    assert first == same != other
    assert companion_value(column, None, [Key()]) is None


def test_the_newest_key_writes():
    column = table(Column("a", Encrypted(str, index=Equality()))).c.a
    old, new = Key(bytes(32)), Key(bytes(31) + b"\1")
    assert companion_value(column, "x", [new, old]) == companion_value(column, "x", [new])


def test_another_column_has_other_index_values_unless_they_share_a_domain():
    def value(name, index):
        return companion_value(
            table(Column(name, Encrypted(str, index=index))).c[name], "x", [Key()]
        )

    assert value("a", Equality()) != value("b", Equality())
    assert value("a", Equality(domain="d")) == value("b", Equality(domain="d"))


def test_a_normaliser_makes_spellings_equal():
    column = table(Column("a", Encrypted(str, index=Equality(normalise="strip+casefold")))).c.a
    assert companion_value(column, " Straße ", [Key()]) == companion_value(
        column, "STRASSE", [Key()]
    )


def test_a_value_of_another_type_is_refused_without_being_shown():
    column = table(Column("a", Encrypted(int, index=Equality()))).c.a
    with pytest.raises(ValueRefused, match=r"t\.a") as caught:
        companion_value(column, "s3cret", [Key()])
    assert "s3cret" not in repr(caught.value)


def test_the_kind_is_the_format_s_own():
    assert EQUALITY == "equality"


def test_a_second_companion_stands_beside_the_first_while_an_index_is_rekeyed():
    index = Equality(unique=True, rekey_into="ssn_index_2")
    declared = table(Column("ssn", Encrypted(str, index=index), nullable=False))
    first, second = companions_of(declared.c.ssn)
    assert (first.name, second.name) == ("ssn_index", "ssn_index_2")
    assert second_companion_of(declared.c.ssn) is second
    assert is_companion(first)
    assert is_companion(second)
    # each is filled by the releases of one side only
    assert (first.nullable, second.nullable) == (True, True)
    assert all(each.unique for each in (first, second))
    copied = declared.to_metadata(MetaData())
    assert [each.name for each in companions_of(copied.c.ssn)] == ["ssn_index", "ssn_index_2"]


@pytest.mark.parametrize("name", ["", "same"])
def test_a_second_companion_has_a_name_of_its_own(name):
    with pytest.raises(ConfigurationError, match="second column"):
        Equality(name="same", rekey_into=name)


def test_each_companion_gets_the_value_of_its_key():
    declared = table(Column("ssn", Encrypted(str, index=Equality(rekey_into="two"))))
    today, incoming = Key(bytes(32)), Key(b"1" * 32)
    incoming.state = KeyState.INCOMING
    first, second = companion_values(declared.c.ssn, "x", [incoming, today])
    assert first == companion_value(declared.c.ssn, "x", [today])
    assert second == companion_value(declared.c.ssn, "x", [Key(b"1" * 32)])
    assert companion_value(declared.c.ssn, "x", [incoming, today]) == first
    assert companion_values(declared.c.ssn, "x", [today]) == (first, first)
    assert companion_values(declared.c.ssn, None, [today]) == (None, None)
