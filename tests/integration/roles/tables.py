"""Tables of every kind with access declared for them, and how to make true what is declared."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Sequence,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    create_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.fixtures.postgres import Postgres
from vaultdb import Encrypted, Equality, encrypted
from vaultdb.db.quoting import quote_name
from vaultdb.db.role_names import RoleNames
from vaultdb.roles.access import access
from vaultdb.roles.fact import Fact
from vaultdb.roles.grant import Grant
from vaultdb.roles.live import live_facts
from vaultdb.roles.statements import statements
from vaultdb.roles.wanted import about_declared, wanted_facts

NAMES = RoleNames()
REPORTS, IMPORTER = 'Über "reports" 100%:a', "select"
SCHEMAS = ("public", "clinic", 'Odd."schema"')


class Base(DeclarativeBase):
    metadata = MetaData()


class Tenanted:
    tenant_id: Mapped[uuid.UUID]


class Person(Tenanted, Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    ssn: Mapped[str] = encrypted(str, index=Equality(unique=True), tenant_column="tenant_id")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Patient(Person):
    __tablename__ = "patient"
    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    diagnosis: Mapped[str] = encrypted(str)
    __mapper_args__ = {"polymorphic_identity": "patient"}


METADATA = Base.metadata

visits = Table(
    "visit",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("note", Encrypted(str), nullable=False),
    Column("owner", String(40)),
    schema="clinic",
)
odd = Table(
    'Odd.table "x" :x',
    METADATA,
    Column("select", SmallInteger, primary_key=True),
    Column('a "b".c %(d)s :e', Encrypted(str, index=Equality()), key="secret"),
    Column("Owner", Integer),
    Column("plain", Text),
    schema='Odd."schema"',
)
membership = Table(
    "membership",
    METADATA,
    Column("person", ForeignKey("person.id"), primary_key=True),
    Column("tenant", BigInteger, primary_key=True),
)
event_log = Table(
    "event_log",
    METADATA,
    Column("id", BigInteger, Sequence("event_numbers", schema="clinic"), primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("tenant", Text),
    postgresql_partition_by="RANGE (day)",
)
long_name = Table(
    "ü" * 20 + "n" * 21 + "%s",
    METADATA,
    Column("i" * 61 + "ü", Integer, primary_key=True),
)
small = Table(
    "small",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("json", SmallInteger),
    Column("body", Text),
)
hand_made = Table("hand_made", METADATA, Column("id", Integer, primary_key=True))
summary = Table("summary", METADATA, Column("id", Integer), info={"is_view": True})
closed = Table("closed", METADATA, Column("id", Uuid, primary_key=True))


def declare() -> None:
    access(
        Person,
        tenant="tenant_id",
        others={REPORTS: Grant(select=["id", "tenant_id"]), IMPORTER: Grant(insert=True)},
    )
    access(Patient, rw="select insert", ro=["id", "diagnosis"])
    access(visits, principal="owner", ro=())
    access(odd, tenant="select", principal="Owner", rw=Grant(select=["select", "secret"]))
    access(membership, tenant="tenant")
    access(event_log, tenant="tenant", rw="select insert", rotator=False)
    access(long_name, others={REPORTS: Grant(update=True, delete=True)})
    access(small, rw=Grant(select=True, update=["json", "body"], insert=["id"]), ro=["json"])
    access(hand_made, own_policies=True)
    access(summary, ro=["id"])


declare()
WANTED = wanted_facts(METADATA, NAMES)


@contextmanager
def created(postgres: Postgres) -> Iterator[Engine]:
    """The tables, owned by vaultdb_owner; nothing is granted."""
    database = postgres.create_database()
    engine = create_engine(database.admin_url.replace("postgresql", "postgresql+psycopg", 1))
    with engine.begin() as connection:
        for role in (REPORTS, IMPORTER):
            run(connection, f"CREATE ROLE {quote_name(role)}")
        run(connection, "CREATE SCHEMA clinic AUTHORIZATION vaultdb_owner")
        run(connection, 'CREATE SCHEMA "Odd.""schema""" AUTHORIZATION vaultdb_owner')
        run(connection, "GRANT CREATE ON SCHEMA public TO vaultdb_owner")
        run(connection, "SET LOCAL ROLE vaultdb_owner")
        tables = [table for table in METADATA.sorted_tables if table is not summary]
        METADATA.create_all(connection, tables=tables)
        run(connection, "CREATE VIEW summary AS SELECT id FROM person")
        run(
            connection, "CREATE TABLE event_log_1 PARTITION OF event_log FOR VALUES FROM (0) TO (9)"
        )
        run(connection, "ALTER TABLE hand_made ENABLE ROW LEVEL SECURITY")
        run(connection, "CREATE POLICY mine ON hand_made USING (id > 0)")
    yield engine
    with engine.begin() as connection:
        for role in (REPORTS, IMPORTER):
            run(connection, f"DROP OWNED BY {quote_name(role)}")
            run(connection, f"DROP ROLE {quote_name(role)}")
    engine.dispose()
    postgres.drop_database(database.name)


def run(connection: Connection, statement: str) -> None:
    """Send a statement as it is: names hold `%` and `:`."""
    connection.connection.cursor().execute(statement)


def live(connection: Connection) -> frozenset[Fact]:
    return about_declared(live_facts(connection, SCHEMAS, NAMES), METADATA)


def repair(connection: Connection) -> list[str]:
    """Make true what is declared, as the owner."""
    found = live(connection)
    script = statements(WANTED - found, found - WANTED, wanted=WANTED)
    run(connection, "SET LOCAL ROLE vaultdb_owner")
    for statement in script:
        run(connection, statement)
    run(connection, "RESET ROLE")
    return script
