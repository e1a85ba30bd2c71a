"""Adopting plaintext columns: declarations, what is left alone, SQLite, and the warning."""

from __future__ import annotations

import enum
import logging
import pickle
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import (
    CHAR,
    JSON,
    Column,
    Computed,
    Enum,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, configure_mappers, mapped_column

import vaultdb
from vaultdb import Encrypted, Equality, encrypted
from vaultdb.errors import ConfigurationError, DecryptionError, StatementRefused
from vaultdb.orm import plaintext_reads
from vaultdb.orm.adoption import REPLACES, plaintext_of
from vaultdb.orm.plaintext import MARK
from vaultdb.orm.writing.table import encrypted_table


class Blood(enum.Enum):
    A = "a"


class Model(BaseModel):
    a: int


class Reversed(TypeDecorator[str]):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value and value[::-1]


def adopting(type_: Any, plain: Any, **options: Any) -> Table:
    given = {"adopts": "plain", "plaintext": "allow"} | options
    return Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        *([] if plain is None else [plain]),
        Column("secret", Encrypted(type_, **given)),
    )


# -- declarations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"plaintext": "allow"}, "needs adopts="),
        ({"plaintext": "maybe", "adopts": "a"}, 'takes "allow", "empty" or "forbid"'),
        ({"adopts": ""}, "adopts= takes a name"),
    ],
)
def test_options_that_cannot_work_are_refused(options, words):
    with pytest.raises(ConfigurationError, match=words):
        Encrypted(str, **options)


REFUSED = {
    "not there": (str, None),
    "another type": (int, Column("plain", Text)),
    "text that is compared by other rules": (str, Column("plain", CITEXT)),
    "a type that changes values": (str, Column("plain", Reversed)),
    "a float for decimals": (Decimal, Column("plain", Numeric(asdecimal=False))),
    "text for an enum": (Blood, Column("plain", Text)),
    "text for a document": (dict, Column("plain", Text)),
    "a duration": (timedelta, Column("plain", Text)),
    "a model": (Model, Column("plain", JSON)),
    "computed": (str, Column("plain", Text, Computed("'x'"))),
    "with an onupdate": (str, Column("plain", Text, onupdate="x")),
    "encrypted itself": (str, Column("plain", Encrypted(str))),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_plaintext_column_that_could_not_be_read_and_written_is_refused(case):
    type_, plain = REFUSED[case]
    table = adopting(type_, None if plain is None else plain._copy())
    with pytest.raises(ConfigurationError, match='plaintext="forbid"'):
        encrypted_table(table)


ACCEPTED = {
    "char": (str, Column("plain", CHAR(11))),
    "varchar": (str, Column("plain", String(11))),
    "uuid": (uuid.UUID, Column("plain", Uuid)),
    "enum": (Blood, Column("plain", Enum(Blood))),
    "bytes": (bytes, Column("plain", LargeBinary)),
    "generic": (dict[str, int], Column("plain", JSON)),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_plaintext_column_of_the_same_type_is_accepted(case):
    type_, plain = ACCEPTED[case]
    assert encrypted_table(adopting(type_, plain._copy())).adopted.keys() == {"plain"}


def test_a_mapped_class_is_refused_when_it_is_configured():
    class Base(DeclarativeBase): ...

    class _Person(Base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        ssn: Mapped[str] = encrypted(str, adopts="gone", plaintext="allow")

    with pytest.raises(ConfigurationError, match="no column of the table"):
        configure_mappers()
    Base.registry.dispose()


def test_two_columns_cannot_adopt_one():
    table = adopting(str, Column("plain", Text))
    table.append_column(Column("other", Encrypted(str, adopts="plain", plaintext="allow")))
    with pytest.raises(ConfigurationError, match="adopts it too"):
        encrypted_table(table)


@pytest.mark.parametrize("mode", ["allow", "forbid"])
def test_autogenerate_is_told_what_is_replaced(mode):
    table = adopting(str, Column("plain", Text), plaintext=mode)
    assert table.c.secret.info[REPLACES] == "plain"


def test_the_options_are_part_of_the_cache_key_the_repr_and_the_pickle():
    type_ = Encrypted(str, adopts="plain", plaintext="allow", logical_name="n")
    assert type_._static_cache_key != Encrypted(str, logical_name="n")._static_cache_key
    assert "adopts='plain', plaintext='allow'" in repr(type_)
    assert pickle.loads(pickle.dumps(type_)).options == type_.options


# -- plaintext="forbid" --------------------------------------------------------------------------


def test_forbidden_plaintext_is_neither_selected_nor_written_nor_searched():
    table = adopting(str, Column("plain", Text), plaintext="forbid", index=Equality())
    assert plaintext_of(table.c.secret) is None
    assert encrypted_table(table).adopted == {}
    statement = select(table.c.secret).where(table.c.secret == "x")
    assert "plain" not in str(statement.compile(dialect=postgresql.dialect()))


def test_marked_plaintext_stays_an_error_where_plaintext_is_forbidden(engine):
    table = adopting(str, Column("plain", Text), plaintext="forbid")
    read = table.c.secret.type.result_processor(engine.dialect, None)
    for value in (MARK + b'"x"', b"\x00\x00\x00\x00x", b"plaintext"):
        with pytest.raises(DecryptionError):
            read(value)


# -- plaintext="empty" ---------------------------------------------------------------------------


def test_a_write_empties_plaintext_that_is_not_read_any_more(engine):
    table = adopting(str, Column("plain", Text), plaintext="empty", index=Equality())
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO t (id, plain) VALUES (1, 'old'), (2, 'old')"))
        assert connection.scalars(select(table.c.secret)).all() == [None, None]
        assert connection.scalars(select(table.c.id).where(table.c.secret == "old")).all() == []
        connection.execute(update(table).where(table.c.id == 1).values(secret="new"))
        connection.execute(update(table).where(table.c.id == 2).values(secret=None))
        connection.execute(insert(table), [{"id": 3, "secret": "new"}])
        found = connection.execute(select(table.c.secret, table.c.plain).order_by(table.c.id))
        assert found.all() == [("new", None), (None, None), ("new", None)]
        with pytest.raises(StatementRefused):
            connection.execute(update(table).values(plain="x"))


def test_a_plaintext_column_that_is_to_be_emptied_must_take_null():
    table = adopting(str, Column("plain", Text, nullable=False), plaintext="empty")
    with pytest.raises(ConfigurationError, match="nullable=True"):
        encrypted_table(table)


# -- SQLite --------------------------------------------------------------------------------------


@pytest.fixture
def engine(vaultdb_keyring):
    engine = vaultdb.create_engine("sqlite://", keyring=vaultdb_keyring)
    yield engine
    engine.dispose()


VALUES: dict[str, tuple[Any, Any, Any]] = {
    "str": (str, Text(), "ü"),
    "bytes": (bytes, LargeBinary(), b"\x00\xff"),
    "decimal": (Decimal, Numeric(8, 2), Decimal("1.50")),
    "uuid": (uuid.UUID, Uuid(), uuid.UUID(int=3)),
    "enum": (Blood, Enum(Blood), Blood.A),
    "dict": (dict, JSON(), {"a": [1.5]}),
    "list": (list, JSON(), ["b"]),
}


@pytest.mark.parametrize("case", VALUES)
def test_sqlite_writes_both_and_reads_both(engine, case):
    type_, stored, value = VALUES[case]
    table = adopting(type_, Column("plain", stored))
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(insert(table), [{"id": 1, "secret": value}, {"id": 2, "secret": None}])
        assert connection.scalar(select(table.c.plain).where(table.c.id == 1)) == value
        connection.execute(text("UPDATE t SET secret = NULL"))
        found = connection.execute(select(table.c.secret).order_by(table.c.id)).scalars().all()
        assert found == [value, None]
    assert vaultdb.plaintext_reads(engine) == {"t.secret": 1}


def test_sqlite_searches_both(engine):
    table = adopting(str, Column("plain", Text), index=Equality())
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(insert(table), [{"id": n, "secret": str(n)} for n in (1, 2)])
        connection.execute(text("UPDATE t SET secret = NULL, secret_index = NULL WHERE id = 1"))
        for condition, keys in (
            (table.c.secret == "1", [1]),
            (table.c.secret.in_(["1", "2"]), [1, 2]),
            (table.c.secret != "1", [2]),
        ):
            assert connection.scalars(select(table.c.id).where(condition)).all() == keys


# -- the rest ------------------------------------------------------------------------------------


def test_a_search_by_another_equality_than_the_servers_is_refused():
    table = adopting(str, Column("plain", Text), index=Equality(normalise="casefold"))
    with pytest.raises(StatementRefused, match="casefold"):
        table.c.secret == "x"  # noqa: B015
    table = adopting(str, Column("plain", Text(collation="Odd rules")), index=Equality())
    with pytest.raises(StatementRefused, match="plaintext of the type"):
        table.c.secret == "x"  # noqa: B015


def test_copying_rows_in_is_refused(engine):
    with engine.connect() as connection, pytest.raises(StatementRefused, match="plaintext"):
        vaultdb.copy_in(connection, adopting(str, Column("plain", Text)), [{"id": 1}])


def test_the_warning_comes_once_for_each_column(engine, caplog, monkeypatch):
    monkeypatch.setattr(plaintext_reads, "_warned", set())
    table = adopting(str, Column("plain", Text))
    table.create(engine)
    with caplog.at_level(logging.WARNING, "vaultdb.adoption"), engine.begin() as connection:
        for _ in range(2):
            connection.execute(select(table.c.secret)).all()
            connection.execute(select(table.c.id, table.c.secret)).all()
    (record,) = caplog.records
    assert "t.secret" in record.getMessage()
    assert 'plaintext="forbid"' in record.getMessage()


def test_a_mapped_plaintext_attribute_follows(engine):
    class Base(DeclarativeBase): ...

    class Person(Base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        plain: Mapped[str | None]
        ssn: Mapped[str | None] = encrypted(
            str, nullable=True, adopts="plain", plaintext="allow", default="d"
        )

    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(person := Person(id=1))
        session.flush()
        assert (person.ssn, person.plain) == ("d", "d")
        copy = Person(id=1, ssn="e", plain="d")
        session.merge(copy)
        session.flush()
        assert (person.ssn, person.plain) == ("e", "e")
        session.execute(update(Person).where(Person.id == 1).values(ssn="f"))
        session.expire_all()
        assert (person.ssn, person.plain) == ("f", "f")
