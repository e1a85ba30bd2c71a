"""Many rows at once: copied in, and decrypted out in batches of columns."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Enum,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vaultdb
from tests.fixtures.postgres import Database, Postgres
from vaultdb import (
    ConfigurationError,
    Encrypted,
    Equality,
    StatementRefused,
    ValueRefused,
    acting_as,
    bulk_decrypt,
    copy_in,
    encrypted,
)
from vaultdb.keys.keyring import Keyring


class Base(DeclarativeBase):
    metadata = MetaData()


class Mood(enum.Enum):
    WELL = "well"
    ILL = "ill"


class Person(Base):
    __tablename__ = "bulk person"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    kind: Mapped[str] = mapped_column(default="person")
    called: Mapped[str] = encrypted(str, name="50% name", index=Equality(unique=True))
    born: Mapped[date | None] = encrypted(date, nullable=True)
    size: Mapped[int | None]
    share: Mapped[float | None]
    price: Mapped[Decimal | None]
    is_new: Mapped[bool] = mapped_column(default=True)
    seen: Mapped[datetime | None] = mapped_column(server_default=func.now())
    mood: Mapped[Mood | None]
    notes: Mapped[dict | None] = mapped_column(JSONB)
    words: Mapped[list[str] | None] = mapped_column(ARRAY(Integer))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Child(Person):
    __mapper_args__ = {"polymorphic_identity": "child"}


class Visit(Base):
    __tablename__ = "bulk_visit"
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    ward: Mapped[str]
    note: Mapped[str | None] = encrypted(str, nullable=True)


class Base1(Base):
    __tablename__ = "bulk_base"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "base"}


class Joined(Base1):
    __tablename__ = "bulk_joined"
    id: Mapped[int] = mapped_column(ForeignKey("bulk_base.id"), primary_key=True)
    note: Mapped[str] = encrypted(str)
    __mapper_args__ = {"polymorphic_identity": "joined"}


ledger = Table(
    "bulk_ledger",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("state", Enum("open", "paid", name="bulk_state", native_enum=True)),
    Column("text", Encrypted(str)),
    Column("plain", JSON),
)


@pytest.fixture(scope="module")
def filled(postgres: Postgres) -> Iterator[Database]:
    database = postgres.create_database()
    database.create_all(Base.metadata)
    yield database
    postgres.drop_database(database.name)


@pytest.fixture
def prepared(filled: Database, keyring: Keyring) -> Iterator[Engine]:
    engine = create_engine(filled.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    yield engine
    engine.dispose()


@pytest.fixture
def session(prepared: Engine) -> Iterator[Session]:
    with prepared.connect() as connection:
        transaction = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


def statements(engine: Engine) -> list[str]:
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    return seen


def test_rows_are_read_as_they_were_copied_in(session: Session) -> None:
    when = datetime(2026, 5, 4, 3, 2, 1)  # noqa: DTZ001  # a column without time zone
    rows = [
        {
            "called": f"Ada {n}",
            "born": date(1990, 1, 2) + timedelta(n) if n % 3 else None,
            "size": n if n % 2 else None,
            "share": n / 7,
            "price": Decimal(n) / 8,
            "seen": when,
            "mood": Mood.ILL,
            "notes": {"n": n},
            "words": [n, n + 1],
        }
        for n in range(25)
    ]
    assert copy_in(session, Person, iter(rows), batch_rows=10) == 25
    found = session.scalars(select(Person).order_by(Person.size)).all()
    by_name = {person.called: person for person in found}
    assert len(by_name) == 25
    for row in rows:
        person = by_name[row["called"]]
        assert {name: getattr(person, name) for name in row} == row
        assert isinstance(person.id, uuid.UUID)
        assert (person.kind, person.is_new) == ("person", True)
    assert session.scalars(select(Person).where(Person.called == "Ada 7")).one().size == 7


def test_it_is_one_copy_for_each_batch_and_no_insert(prepared: Engine, session: Session) -> None:
    sent = statements(prepared)
    rows = [{"ward": "north", "note": str(n)} for n in range(6)]
    assert copy_in(session, Visit, rows, batch_rows=3) == 6
    assert not any(statement.startswith("INSERT") for statement in sent)
    # keys of a batch in one query, and one look at the table
    assert sum("generate_series" in statement for statement in sent) == 2
    assert sum("row_security_active" in statement for statement in sent) == 1
    assert session.scalar(select(func.count()).select_from(Visit)) == 6


def test_what_the_server_stores_is_encrypted(session: Session) -> None:
    copy_in(session, Visit, [{"ward": "north", "note": "the secret"}])
    raw = session.execute(text("SELECT note FROM bulk_visit")).scalar_one()
    assert bytes(raw)[:1] == b"\xf6"
    assert b"the secret" not in bytes(raw)


def test_a_table_with_an_enum_is_filled_through_arrays(session: Session) -> None:
    rows = [
        {"id": n, "state": "paid" if n else None, "text": "x", "plain": {"n": n}} for n in range(3)
    ]
    assert copy_in(session.connection(), ledger, rows) == 3
    found = session.execute(select(ledger).order_by(ledger.c.id)).all()
    assert [row.state for row in found] == [None, "paid", "paid"]
    assert [row.plain for row in found] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_row_level_security_is_obeyed(filled: Database, prepared: Engine) -> None:
    with filled.connect() as connection:
        connection.execute("ALTER TABLE bulk_visit ENABLE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY north ON bulk_visit USING (ward = 'north')")
    try:
        with prepared.connect() as connection, connection.begin() as transaction:
            rows = [{"ward": "north", "note": str(n)} for n in range(3)]
            assert copy_in(connection, Visit, rows) == 3
            assert connection.scalar(select(func.count()).select_from(Visit)) == 3
            with pytest.raises(DBAPIError, match="row-level security"):
                copy_in(connection, Visit, [{"ward": "south", "note": "x"}])
            transaction.rollback()
    finally:
        with filled.connect() as connection:
            connection.execute("DROP POLICY north ON bulk_visit")
            connection.execute("ALTER TABLE bulk_visit DISABLE ROW LEVEL SECURITY")


def test_it_is_part_of_the_transaction(prepared: Engine) -> None:
    with Session(prepared) as session:
        copy_in(session, Visit, [{"ward": "gone", "note": "x"}])
        session.rollback()
        assert session.scalar(select(func.count()).where(Visit.ward == "gone")) == 0


def test_what_was_added_before_is_flushed(session: Session) -> None:
    session.add(Visit(id=77, ward="flushed"))
    copy_in(session, Visit, [{"ward": "north", "note": "x"}])
    assert session.connection().scalar(text("SELECT ward FROM bulk_visit WHERE id = 77"))


def test_the_discriminator_of_single_table_inheritance_is_filled(session: Session) -> None:
    copy_in(session, Child, [{"called": "Kim"}])
    assert isinstance(session.scalars(select(Person).where(Person.called == "Kim")).one(), Child)


def test_a_class_of_two_tables_is_refused(session: Session) -> None:
    with pytest.raises(StatementRefused, match="Joined is stored in 2 tables"):
        copy_in(session, Joined, [{"id": 1, "note": "x"}])


def test_rows_of_another_shape_are_refused(session: Session) -> None:
    with pytest.raises(StatementRefused, match="names of the first"):
        copy_in(session, Visit, [{"ward": "a", "note": "b"}, {"ward": "a"}])
    with pytest.raises(StatementRefused, match="has no column 'colour'"):
        copy_in(session, Visit, [{"colour": "red"}])
    with pytest.raises(StatementRefused, match="not SQL"):
        copy_in(session, Visit, [{"ward": func.now(), "note": "b"}])
    with pytest.raises(ConfigurationError, match="tables with encrypted columns"):
        copy_in(session, Base1, [{"id": 1}])
    with pytest.raises(ConfigurationError, match="at least 1"):
        copy_in(session, Visit, [], batch_rows=0)
    assert copy_in(session, Visit, []) == 0


@pytest.mark.parametrize("size", ["the value", 2**40])
def test_a_value_that_does_not_fit_is_not_shown(session: Session, size: object) -> None:
    with pytest.raises(ValueRefused, match="does not fit") as caught:
        copy_in(session, Person, [{"called": "Ada", "size": size}])
    assert str(size) not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_error_of_the_server_shows_no_value(session: Session) -> None:
    row = {"called": "the secret"}
    with pytest.raises(IntegrityError, match="values are withheld") as caught:
        copy_in(session, Person, [row, row])
    assert caught.value.params is None
    assert "the secret" not in str(caught.value)
    assert "DETAIL" not in str(caught.value)


def test_each_tenant_copies_its_own_rows(session: Session) -> None:
    with acting_as("ada", tenant="copied"):
        session.info["vaultdb.principal"] = vaultdb.Acting("ada", tenant="copied")
        copy_in(session, Visit, [{"ward": "t", "note": "theirs"}])
        assert session.scalars(select(Visit.note)).all() == ["theirs"]


@pytest.mark.asyncio
async def test_under_asyncio_it_runs_in_the_session(filled: Database, keyring: Keyring) -> None:
    engine = create_async_engine(filled.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    try:
        async with AsyncSession(engine) as session:
            rows = [{"ward": "async", "note": str(n)} for n in range(5)]
            assert await session.run_sync(copy_in, Visit, rows) == 5
            people = [{"id": n, "state": "open", "text": "x", "plain": None} for n in range(2)]
            assert await session.run_sync(copy_in, ledger, people) == 2
            found = await session.scalars(select(Visit.note).where(Visit.ward == "async"))
            assert sorted(found) == ["0", "1", "2", "3", "4"]
    finally:
        await engine.dispose()


def test_batches_hold_columns(session: Session) -> None:
    rows = [{"ward": "north", "note": f"note {n}" if n else None} for n in range(7)]
    copy_in(session, Visit, rows)
    query = select(Visit.id, Visit.note).order_by(Visit.id)
    batches = list(bulk_decrypt(session, query, batch_rows=3))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert list(batches[0].columns) == ["id", "note"]
    assert batches[0].columns["note"] == [None, "note 1", "note 2"]
    assert "note 1" not in repr(batches[0])


def test_a_class_stands_for_all_its_columns(session: Session) -> None:
    copy_in(session, Visit, [{"ward": "north", "note": "x"}])
    (batch,) = bulk_decrypt(session, Visit)
    assert list(batch.columns) == ["id", "ward", "note"]
    (batch,) = bulk_decrypt(session.connection(), Visit.__table__)
    assert batch.columns["note"] == ["x"]
    assert list(bulk_decrypt(session, select(Visit.note).where(Visit.ward == "none"))) == []


def test_statements_without_columns_are_refused(session: Session) -> None:
    with pytest.raises(StatementRefused, match="whole Visit objects"):
        list(bulk_decrypt(session, select(Visit)))
    with pytest.raises(ConfigurationError, match="takes a select"):
        list(bulk_decrypt(session, "SELECT 1"))
    with pytest.raises(ConfigurationError, match="at least 1"):
        list(bulk_decrypt(session, Visit, batch_rows=0))


def test_names_that_come_twice_are_numbered(session: Session) -> None:
    copy_in(session, Visit, [{"ward": "north", "note": "x"}])
    (batch,) = bulk_decrypt(session, select(Visit.note, Visit.ward.label("note")))
    assert batch.columns == {"note": ["x"], "note_1": ["north"]}


def test_a_batch_goes_to_arrow(session: Session) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    copy_in(session, Person, [{"called": "Ada", "mood": Mood.WELL, "notes": {"a": 1}, "seen": now}])
    columns = (Person.id, Person.called, Person.mood, Person.notes, Person.seen, Person.born)
    (batch,) = bulk_decrypt(session, select(*columns))
    table = batch.to_arrow()
    (row,) = table.to_pylist()
    assert (row["called"], row["mood"], row["notes"]) == ("Ada", "WELL", '{"a": 1}')
    assert uuid.UUID(row["id"]) == batch.columns["id"][0]
    assert row["seen"] == now
    assert row["born"] is None
