"""A migrated database with encrypted rows, and what an attacker of each kind can reach."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import date

import psycopg
import pytest
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    insert,
    select,
)

import vaultdb
from tests.fixtures.postgres import Database
from vaultdb import Encrypted, Equality
from vaultdb.errors import DecryptionError
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.vault.providers.memory import MemoryProvider

metadata = MetaData()
patient = Table(
    "patient",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner_id", Integer),
    Column("name", Encrypted(str)),
    Column("nickname", Encrypted(str)),
    Column("email", Encrypted(str, index=Equality())),
    Column("phone", Encrypted(str, index=Equality(), bind="column")),
    Column("born", Encrypted(date)),
    Column("weight", Encrypted(int)),
)
doctor = Table(
    "doctor",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Encrypted(str)),
)
visit = Table(
    "visit",
    metadata,
    Column("patient_id", ForeignKey("patient.id"), primary_key=True),
    Column("no", String(9), primary_key=True),
    Column("note", Encrypted(str)),
)

ADA = {
    "id": 1,
    "owner_id": 7,
    "name": "Ada Augusta Lovelace",
    "nickname": "the Enchantress of Number",
    "email": "ada@analytical.example",
    "phone": "+44 20 7946 0018",
    "born": date(1815, 12, 10),
    "weight": 5_318_008_551,
}
EVE = {
    "id": 2,
    "owner_id": 8,
    "name": "Eve Mallory Trudy",
    "nickname": "the listening one",
    "email": "eve@attacker.example",
    "phone": "+44 20 7946 0666",
    "born": date(1999, 1, 31),
    "weight": 8_675_309_123,
}
VALUES = [str(v) for row in (ADA, EVE) for k, v in row.items() if k not in ("id", "owner_id")]


@pytest.fixture
def new_keyring() -> Iterator[Callable[..., Keyring]]:
    """Make keyrings; those of one realm share their keys."""
    stores: dict[uuid.UUID, tuple[MemoryProvider, MemoryKeyStore]] = {}
    made: list[Keyring] = []

    def make(realm: uuid.UUID) -> Keyring:
        provider, store = stores.setdefault(realm, (MemoryProvider(), MemoryKeyStore()))
        made.append(Keyring(realm=realm, provider=provider, store=store, create_keys=True))
        return made[-1]

    yield make
    for keyring in made:
        keyring.close()


@pytest.fixture
def prepared(new_keyring) -> Iterator[Callable[..., Engine]]:
    """Make prepared engines for a database, a realm and a tenant."""
    made: list[Engine] = []

    def make(database: Database, *, realm: uuid.UUID | None = None, tenant: str = "") -> Engine:
        engine = create_engine(database.sqlalchemy_url)
        keyring = new_keyring(realm or database.realm)
        made.append(vaultdb.install(engine, keyring=keyring, tenant=tenant))
        return engine

    yield make
    for engine in made:
        engine.dispose()


@pytest.fixture
def clinic(database: Database, prepared) -> Engine:
    """The application's engine on a database with two patients, a doctor and a visit."""
    database.create_all(metadata)
    engine = prepared(database)
    fill(engine)
    return engine


def fill(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(patient), [ADA, EVE])
        connection.execute(insert(doctor).values(id=1, name="Dr Who"))
        connection.execute(insert(visit).values(patient_id=1, no="1", note="sees things"))


@pytest.fixture
def attack(database: Database) -> Iterator[psycopg.Connection]:
    """Write access to every table, past vaultdb: the database's superuser."""
    with database.connect() as connection:
        yield connection


def read(engine: Engine, column: Column, key: int = 1):
    """Return one value as the application reads it."""
    table = column.table
    with engine.connect() as connection:
        return connection.scalar(select(column).where(next(iter(table.primary_key)) == key))


def undecryptable(engine: Engine, column: Column, key: int = 1) -> bool:
    try:
        read(engine, column, key)
    except DecryptionError:
        return True
    return False
