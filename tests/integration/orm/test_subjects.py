"""Values that are encrypted with a key of their data subject."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import (
    Engine,
    Identity,
    MetaData,
    bindparam,
    create_engine,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.attributes import flag_modified

import vaultdb
from tests.fixtures.postgres import Database, Postgres
from vaultdb import (
    ConfigurationError,
    Equality,
    KeyMissing,
    StatementRefused,
    ValueRefused,
    acting_as,
    copy_in,
    encrypted,
)
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.vault.providers.memory import MemoryProvider


class Base(DeclarativeBase):
    metadata = MetaData()


class Person(Base):
    """Is its own subject; the server makes the key."""

    __tablename__ = "subject_person"
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = encrypted(str, subject="id", index=Equality())


class Note(Base):
    """Belongs to somebody."""

    __tablename__ = "subject_note"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    person_id: Mapped[int | None]
    text: Mapped[str | None] = encrypted(str, subject="person_id", nullable=True)
    mood: Mapped[str | None] = encrypted(str, subject="person_id", nullable=True)
    place: Mapped[str | None] = encrypted(str, nullable=True)


class World:
    def __init__(self, database: Database, realm: uuid.UUID) -> None:
        self.database, self.realm = database, realm
        self.provider, self.store = MemoryProvider(), MemoryKeyStore()
        self.keyring = self.new_keyring()
        self.engine = create_engine(database.sqlalchemy_url)
        vaultdb.install(self.engine, keyring=self.keyring)

    def new_keyring(self, *, create_keys: bool = True) -> Keyring:
        return Keyring(
            realm=self.realm, provider=self.provider, store=self.store, create_keys=create_keys
        )

    def subject_of(self, model: type[Base], column: str, **where: object) -> str:
        """Return whose key a stored value names."""
        with self.database.connect() as connection:
            (key, value), *_ = where.items()
            query = f'SELECT "{column}" FROM {model.__tablename__} WHERE {key} = %s'
            ((envelope,),) = connection.execute(query.encode(), (value,)).fetchall()
        (row,) = self.store.by_ids(self.realm, [bytes(envelope)[2:18]])
        return row.scope.subject


@pytest.fixture(scope="module")
def made(postgres: Postgres) -> Iterator[Database]:
    database = postgres.create_database()
    database.create_all(Base.metadata)
    yield database
    postgres.drop_database(database.name)


@pytest.fixture
def world(made: Database, realm: uuid.UUID) -> Iterator[World]:
    with made.connect() as connection:
        connection.execute("TRUNCATE subject_person, subject_note")
    world = World(made, realm)
    yield world
    world.engine.dispose()
    world.keyring.close()


@pytest.fixture
def engine(world: World) -> Engine:
    return world.engine


def test_each_subject_has_a_key_of_its_own(world: World, engine: Engine) -> None:
    with Session(engine) as session:
        ada, bob = Person(name="Ada"), Person(name="Bob")
        session.add_all([ada, bob])
        session.commit()
        assert session.scalars(select(Person.name).order_by(Person.id)).all() == ["Ada", "Bob"]
        assert session.scalars(select(Person).where(Person.name == "Bob")).one() is bob
        assert world.subject_of(Person, "name", id=ada.id) == str(ada.id)
        assert world.subject_of(Person, "name", id=bob.id) == str(bob.id)


def test_columns_without_a_subject_have_the_key_of_the_keyset(world: World, engine: Engine) -> None:
    note = uuid.uuid4()
    with engine.begin() as connection:
        row = {"id": note, "person_id": 7, "text": "t", "place": "p"}
        connection.execute(insert(Note), row)
    assert world.subject_of(Note, "text", id=note) == "7"
    assert world.subject_of(Note, "place", id=note) == ""


def test_many_subjects_are_written_and_read_with_few_questions(
    world: World, engine: Engine
) -> None:
    rows = [{"person_id": n % 300, "text": f"note {n}"} for n in range(900)]
    with engine.begin() as connection:
        connection.execute(insert(Note), rows)
    keyring = world.new_keyring()
    reader = create_engine(world.database.sqlalchemy_url)
    vaultdb.install(reader, keyring=keyring)
    with reader.connect() as connection:
        found = connection.execute(select(Note.person_id, Note.text)).all()
    reader.dispose()
    assert sorted(text for _, text in found) == sorted(row["text"] for row in rows)
    assert keyring.counters.provider_calls <= 5  # 300 keys, 100 at a time, and the keyset's own
    assert keyring.counters.store_queries <= 4
    assert keyring.counters.misses == 0
    keyring.close()


def test_an_update_asks_the_rows_whose_they_are(world: World, engine: Engine) -> None:
    with Session(engine) as session:
        notes = [Note(person_id=n, text="before") for n in range(3)]
        session.add_all(notes)
        session.commit()
        for note in notes:
            note.text = f"after {note.person_id}"
        session.commit()
        for note in notes:
            assert world.subject_of(Note, "text", id=note.id) == str(note.person_id)
            session.refresh(note)
            assert note.text == f"after {note.person_id}"
        statement = update(Note).where(Note.id == bindparam("which")).values(text=bindparam("t"))
        given = [{"which": note.id, "t": "core"} for note in notes]
        session.connection().execute(statement, given)
        named = update(Note).where(Note.id == notes[0].id, Note.person_id == 0).values(text="x")
        assert session.connection().execute(named).rowcount == 1
        session.commit()
        for note in notes:
            assert world.subject_of(Note, "text", id=note.id) == str(note.person_id)


def test_a_row_that_changes_hands_needs_its_values(world: World, engine: Engine) -> None:
    with Session(engine) as session:
        note = Note(person_id=1, text="t", mood="m")
        session.add(note)
        session.commit()
        note.person_id = 2
        note.text = "t"
        with pytest.raises(StatementRefused, match=r"set .*mood too"):
            session.flush()
        session.rollback()
        session.refresh(note)
        note.person_id = 2
        flag_modified(note, "text")
        flag_modified(note, "mood")
        session.commit()
        assert world.subject_of(Note, "mood", id=note.id) == "2"
        session.connection().execute(
            update(Note).where(Note.id == note.id).values(text=None, mood=None)
        )
        session.commit()


@pytest.mark.parametrize("row", [{"text": "t"}, {"person_id": None, "text": "t"}])
def test_a_value_of_nobody_is_refused(engine: Engine, row: dict[str, object]) -> None:
    with engine.begin() as connection, pytest.raises(ValueRefused, match="give the row a value"):
        connection.execute(insert(Note), row)


def test_a_row_without_values_needs_no_subject(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Note), [{"text": None}, {"text": None}])
        assert connection.scalar(select(func.count()).select_from(Note)) == 2


def test_a_subject_that_is_sql_is_refused(engine: Engine) -> None:
    with engine.begin() as connection, pytest.raises(StatementRefused, match="is SQL"):
        connection.execute(insert(Note).values(person_id=func.abs(1), text="t"))


def test_an_update_of_a_row_that_is_not_there_is_refused(engine: Engine) -> None:
    with engine.begin() as connection, pytest.raises(StatementRefused, match="is not there"):
        connection.execute(update(Note).where(Note.id == uuid.uuid4()).values(text="t"))


def test_an_upsert_keeps_the_row_with_its_subject(world: World, engine: Engine) -> None:
    note = uuid.uuid4()
    with engine.begin() as connection:
        connection.execute(insert(Note), {"id": note, "person_id": 1, "text": "one"})
        statement = upsert(Note).values({"id": note, "person_id": 2, "text": "two"})
        with pytest.raises(StatementRefused, match="another data subject"):
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"], set_={"text": statement.excluded.text}
                )
            )
        chosen = {"text": statement.excluded.text, "person_id": statement.excluded.person_id}
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=chosen))
    assert world.subject_of(Note, "text", id=note) == "2"


def test_without_create_keys_a_missing_key_names_the_command(world: World) -> None:
    engine = create_engine(world.database.sqlalchemy_url)
    keyring = world.new_keyring(create_keys=False)
    vaultdb.install(engine, keyring=keyring)
    with engine.begin() as connection, pytest.raises(KeyMissing, match="--subject 9"):
        connection.execute(insert(Note), {"person_id": 9, "text": "t"})
    engine.dispose()
    keyring.close()


def test_copy_in_groups_rows_by_subject(world: World, engine: Engine) -> None:
    with Session(engine) as session:
        rows = [{"person_id": n % 3, "text": str(n)} for n in range(9)]
        assert copy_in(session, Note, rows, batch_rows=4) == 9
        assert copy_in(session, Person, [{"name": "Ada"}, {"name": "Bob"}]) == 2
        session.commit()
        found = session.execute(select(Note.person_id, Note.text)).all()
        assert all(int(text) % 3 == person for person, text in found)
        assert set(session.scalars(select(Person.name))) == {"Ada", "Bob"}


def test_subjects_of_two_tenants_are_apart(world: World, engine: Engine) -> None:
    for tenant in ("north", "south"):
        with acting_as("x", tenant=tenant), engine.begin() as connection:
            connection.execute(insert(Note), {"person_id": 1, "text": tenant, "place": "p"})
    scopes = {
        row.scope
        for row in world.store.by_ids(world.realm, list(world.store._rows))
        if row.scope.subject
    }
    assert {scope.tenant for scope in scopes} == {"north", "south"}
    with acting_as("x", tenant="north"), engine.connect() as connection:
        query = select(Note.text).where(Note.person_id == 1).order_by(Note.id)
        with pytest.raises(vaultdb.DecryptionError):
            connection.execute(query).all()


@pytest.mark.asyncio
async def test_under_asyncio_keys_are_loaded_off_the_loop(world: World) -> None:
    engine = create_async_engine(world.database.sqlalchemy_url)
    keyring = world.new_keyring()
    vaultdb.install(engine, keyring=keyring)
    try:
        async with AsyncSession(engine) as session:
            session.add_all([Note(person_id=n, text=str(n)) for n in range(30)])
            await session.commit()
            keyring.flush()
            texts = (await session.scalars(select(Note.text))).all()
            assert sorted(texts) == sorted(map(str, range(30)))
            keyring.flush()
            stream = await session.stream_scalars(select(Note.text))
            assert len([text async for text in stream]) == 30
    finally:
        await engine.dispose()
        keyring.close()


@pytest.mark.parametrize("name", ["nobody", "text"])
def test_a_subject_must_be_a_column_in_the_clear(name: str) -> None:
    class Local(DeclarativeBase):
        pass

    with pytest.raises(ConfigurationError, match="no column in the clear"):

        class Wrong(Local):
            __tablename__ = "wrong"
            id: Mapped[int] = mapped_column(primary_key=True)
            text: Mapped[str] = encrypted(str, subject=name)

        Local.registry.configure()
