"""Blind indexes while they are re-keyed: two companions, and processes that know more or less."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import Engine, MetaData, Table, create_engine, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column

import vaultdb
from tests.fixtures.postgres import Database, Postgres
from vaultdb import Equality, acting_as, copy_in, encrypted
from vaultdb.keys.creation import create_key
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose
from vaultdb.vault.providers.memory import MemoryProvider


class Base(DeclarativeBase):
    metadata = MetaData()


class Patient(Base):
    __tablename__ = "rekeyed"
    id: Mapped[int] = mapped_column(primary_key=True)
    ssn: Mapped[str | None] = encrypted(
        str, index=Equality(unique=True, rekey_into="ssn_index_2", domain="ssn"), nullable=True
    )
    email: Mapped[str | None] = encrypted(
        str, index=Equality(rekey_into="next", domain="ssn"), nullable=True
    )


class Switched(DeclarativeBase):
    metadata = MetaData()


class SwitchedPatient(Switched):
    """The same table for the first release that searches the second column."""

    __tablename__ = "rekeyed"
    id: Mapped[int] = mapped_column(primary_key=True)
    ssn: Mapped[str | None] = encrypted(
        str,
        index=Equality(unique=True, name="ssn_index_2", rekey_into="ssn_index", domain="ssn"),
        nullable=True,
    )


STORED = text("SELECT id, ssn_index, ssn_index_2 FROM rekeyed ORDER BY id")


class World:
    """Processes over one key table and one database; each has a keyring of its own."""

    def __init__(self, database: Database, realm: UUID) -> None:
        self.database = database
        self.realm = realm
        self.provider, self.store = MemoryProvider(), MemoryKeyStore()
        self._opened: list[tuple[Engine, Keyring]] = []

    def process(self) -> Engine:
        """Return the engine of another process: it knows the keys that are there now."""
        keyring = Keyring(
            realm=self.realm, provider=self.provider, store=self.store, create_keys=True
        )
        for tenant in ("", "north", "south"):
            keyring.load([KeyScope(tenant, "default", Purpose.INDEX)])
        engine = create_engine(self.database.sqlalchemy_url)
        vaultdb.install(engine, keyring=keyring)
        self._opened.append((engine, keyring))
        return engine

    def incoming(self, tenant: str = "") -> None:
        scope = KeyScope(tenant, "default", Purpose.INDEX)
        create_key(self.provider, self.store, self.realm, scope, 2, state=KeyState.INCOMING)

    def stored(self) -> list[tuple[bytes, bytes]]:
        with self.database.connect() as connection:
            rows = connection.execute(STORED.text.encode()).fetchall()
        return [(row[1][2:10], row[2][2:10]) for row in rows]

    def close(self) -> None:
        for engine, keyring in self._opened:
            engine.dispose()
            keyring.close()


@pytest.fixture(scope="module")
def made(postgres: Postgres) -> Iterator[Database]:
    database = postgres.create_database()
    database.create_all(Base.metadata)
    yield database
    postgres.drop_database(database.name)


@pytest.fixture
def world(made: Database, realm: UUID) -> Iterator[World]:
    with made.connect() as connection:
        connection.execute("TRUNCATE rekeyed")
    world = World(made, realm)
    yield world
    world.close()


def add(engine: Engine, *rows: dict[str, object]) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Patient), list(rows))


def test_before_a_key_comes_in_both_companions_are_alike(world: World) -> None:
    add(world.process(), {"id": 1, "ssn": "a"})
    ((first, second),) = world.stored()
    assert first == second


def test_writers_fill_each_companion_with_its_key(world: World) -> None:
    old = world.process()
    add(old, {"id": 1, "ssn": "a"})
    world.incoming()
    new = world.process()
    add(new, {"id": 2, "ssn": "b"})
    with Session(new) as session:
        session.add(Patient(id=3, ssn="c"))
        session.commit()
    with new.begin() as connection:
        statement = upsert(Patient).values({"id": 2, "ssn": "bb"})
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["id"], set_={"ssn": statement.excluded.ssn}
            )
        )
        connection.execute(update(Patient).where(Patient.id == 3).values(ssn="cc"))
        copy_in(connection, Patient, [{"id": 4, "ssn": "d"}])
    one, *others = world.stored()
    assert one[0] == one[1]
    assert len(others) == 3
    for first, second in others:
        assert first == one[0]
        assert second != one[0]


@pytest.mark.parametrize("writer", ["stale", "informed"])
@pytest.mark.parametrize("reader", ["stale", "informed"])
def test_no_search_misses_a_row_whoever_wrote_it(world: World, writer: str, reader: str) -> None:
    add(world.process(), {"id": 1, "ssn": "a", "email": "a"})
    processes = {"stale": world.process()}
    world.incoming()
    processes["informed"] = world.process()
    add(processes[writer], {"id": 2, "ssn": "b", "email": "a"})
    engine = processes[reader]
    other = aliased(Patient)
    with Session(engine) as session:
        assert session.scalars(select(Patient.id).where(Patient.ssn.in_(["a", "b"]))).all() == [
            1,
            2,
        ]
        assert session.scalars(select(Patient).where(Patient.ssn == "b")).one().ssn == "b"
        joined = select(other.id).join(Patient, Patient.ssn == other.email).order_by(other.id)
        assert session.scalars(joined).all() == [1, 2]


@pytest.mark.parametrize("writer", ["stale", "informed"])
def test_unique_holds_whoever_writes(world: World, writer: str) -> None:
    processes = {"stale": world.process()}
    add(processes["stale"], {"id": 1, "ssn": "a"})
    world.incoming()
    processes["informed"] = world.process()
    add(processes["informed"], {"id": 2, "ssn": "b"})
    for twice in ("a", "b"):
        with pytest.raises(IntegrityError, match="rekeyed_ssn_index"):
            add(processes[writer], {"id": 3, "ssn": twice})


def test_tenants_are_rekeyed_one_by_one(world: World) -> None:
    with acting_as("x", tenant="north"):
        add(world.process(), {"id": 1, "ssn": "a"})
    with acting_as("x", tenant="south"):
        add(world.process(), {"id": 2, "ssn": "a"})
    world.incoming("north")
    engine = world.process()
    with acting_as("x", tenant="north"):
        add(engine, {"id": 3, "ssn": "b"})
        with Session(engine) as session:
            assert session.scalars(select(Patient.id).where(Patient.ssn == "b")).all() == [3]
    with acting_as("x", tenant="south"):
        add(engine, {"id": 4, "ssn": "b"})
    stored = world.stored()
    assert [first == second for first, second in stored] == [True, True, False, True]


def test_the_caller_writes_neither_companion(world: World) -> None:
    table: Table = Patient.__table__  # type: ignore[assignment]
    for name in ("ssn_index", "ssn_index_2"):
        with (
            world.process().begin() as connection,
            pytest.raises(vaultdb.StatementRefused, match="filled by vaultdb"),
        ):
            connection.execute(insert(table), {"id": 1, "ssn": "a", name: b"x"})


def test_while_releases_switch_neither_misses_rows_of_the_other(world: World) -> None:
    scope = KeyScope("", "default", Purpose.INDEX)
    world.process()
    create_key(world.provider, world.store, world.realm, scope, 2)  # promoted
    engine = world.process()
    models = (Patient, SwitchedPatient)
    for number, writer in enumerate(models):
        with engine.begin() as connection:
            connection.execute(insert(writer), {"id": number, "ssn": f"of {number}"})
        for reader in models:
            with Session(engine) as session:
                found = select(reader.id).where(reader.ssn == f"of {number}")
                assert session.scalars(found).all() == [number]
            with engine.begin() as connection, pytest.raises(IntegrityError, match="ssn_index"):
                connection.execute(insert(reader), {"id": 9, "ssn": f"of {number}"})
