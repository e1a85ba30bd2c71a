"""Tables that show rows to whoever acts, and an engine with rows of two tenants in them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vaultdb
from tests.fixtures.postgres import Database, Postgres
from vaultdb import acting_as, encrypted
from vaultdb.db.role_names import RoleNames
from vaultdb.keys.keyring import Keyring
from vaultdb.roles.access import access
from vaultdb.roles.statements import statements
from vaultdb.roles.wanted import wanted_facts

NORTH, SOUTH = "acme", "globex"
SET = "pg_catalog.set_config('vaultdb.tenant'"


class Base(DeclarativeBase):
    metadata = MetaData()


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    body: Mapped[str] = mapped_column(default="")
    secret: Mapped[str | None] = encrypted(str, nullable=True, tenant_column="tenant_id")


class Diary(Base):
    __tablename__ = "diary"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    owner_id: Mapped[uuid.UUID]


plain = Table("plain", Base.metadata, Column("id", Integer, primary_key=True))


def declare() -> None:
    access(Note, tenant="tenant_id")
    access(Diary, tenant="tenant_id", principal="owner_id")
    access(plain)


@contextmanager
def guarded_database(postgres: Postgres) -> Iterator[Database]:
    """The tables as declared, with access as declared and nothing more."""
    database = postgres.create_database()
    declare()
    wanted = wanted_facts(Base.metadata, RoleNames())
    engine = create_engine(database.migrate_url.replace("postgresql", "postgresql+psycopg", 1))
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        for statement in statements(wanted, (), wanted=wanted):
            connection.exec_driver_sql(statement)
    engine.dispose()
    with database.connect() as connection:
        connection.execute("GRANT USAGE ON SCHEMA public TO vaultdb_rw")
    yield database
    postgres.drop_database(database.name)


@contextmanager
def guarded_engine(guarded: Database, keyring: Keyring) -> Iterator[Engine]:
    """An engine on one connection, with rows of two tenants."""
    declare()  # every test begins without
    with guarded.connect() as connection:
        connection.execute("TRUNCATE note, diary, plain RESTART IDENTITY")
    engine = create_engine(guarded.sqlalchemy_url, pool_size=1, max_overflow=0)
    vaultdb.install(engine, keyring=keyring)
    for tenant in (NORTH, SOUTH):
        with acting_as("setup", tenant=tenant), Session(engine) as session:
            session.add_all(Note(tenant_id=tenant, body=f"{tenant} {n}") for n in range(2))
            session.commit()
    yield engine
    engine.dispose()


def bodies(session) -> set[str]:
    return set(session.scalars(select(Note.body)))
