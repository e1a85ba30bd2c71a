"""What is declared is what PostgreSQL prints once it is granted, on 15 and on 17."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator

import pytest
from psycopg import errors
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
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.fixtures.postgres import Postgres
from vaultdb import Encrypted, Equality, encrypted
from vaultdb.db.quoting import quote_name
from vaultdb.db.role_names import RoleNames
from vaultdb.roles.access import access
from vaultdb.roles.declared import undeclared
from vaultdb.roles.fact import PUBLIC, Fact
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


@pytest.fixture(scope="module")
def engine(any_postgres: Postgres) -> Iterator[Engine]:
    """The tables, owned by vaultdb_owner; nothing is granted."""
    database = any_postgres.create_database()
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
    any_postgres.drop_database(database.name)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A superuser's transaction that is rolled back."""
    with engine.connect() as connection:
        yield connection


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


def test_every_kind_of_table_prints_as_declared(connection):
    assert live(connection) == frozenset()
    repair(connection)
    assert live(connection) == WANTED
    assert repair(connection) == []


def test_what_is_declared_can_be_taken_away_again(connection):
    repair(connection)
    for statement in statements((), WANTED):
        run(connection, statement)
    assert live(connection) == frozenset()


def test_undeclared_tables_are_named_and_stay_closed(connection):
    assert undeclared(METADATA) == [closed]
    repair(connection)
    facts = live_facts(connection, SCHEMAS, NAMES)
    assert {fact for fact in facts if fact.fact == "grant" and "closed" in fact.object} == set()


def test_the_policies_of_a_table_that_declares_its_own_are_left_alone(connection):
    repair(connection)
    facts = live_facts(connection, SCHEMAS, NAMES)
    assert {fact.fact for fact in facts if "hand_made" in fact.object} >= {"rls", "policy"}


def test_the_application_can_insert_rows_whose_keys_the_server_makes(connection):
    repair(connection)
    run(connection, "GRANT USAGE ON SCHEMA public, clinic TO vaultdb_rw")
    run(connection, "SET LOCAL ROLE vaultdb_rw")
    for sequence in ("person_id_seq", "clinic.visit_id_seq", "clinic.event_numbers"):
        assert connection.scalar(text(f"SELECT nextval('{sequence}')")) == 1


def test_what_a_column_was_granted_by_an_option_on_its_table_is_found_and_taken_back(connection):
    repair(connection)
    run(connection, "GRANT SELECT ON person TO vaultdb_rw WITH GRANT OPTION")
    run(connection, "SET LOCAL ROLE vaultdb_rw")
    run(connection, "GRANT SELECT (ssn) ON person TO PUBLIC")
    run(connection, "RESET ROLE")
    run(connection, "REVOKE GRANT OPTION FOR SELECT ON person FROM vaultdb_rw CASCADE")
    orphan = Fact("grant", "column", "public.person.ssn", PUBLIC, "SELECT", "BY vaultdb_rw")
    assert live(connection) - WANTED == {orphan}
    repair(connection)
    assert live(connection) == WANTED


def test_roles_that_gave_each_other_the_option_lose_it(connection):
    """No revoke by the owner ends such a circle: each still has the option from the other."""
    repair(connection)
    for giver in ("vaultdb_ro", "vaultdb_rotator"):
        run(connection, f"GRANT SELECT ON person TO {giver} WITH GRANT OPTION")
    for giver, taker in (("vaultdb_ro", "vaultdb_rotator"), ("vaultdb_rotator", "vaultdb_ro")):
        run(connection, f"SET LOCAL ROLE {giver}")
        run(connection, f"GRANT SELECT ON person TO {taker} WITH GRANT OPTION")
        run(connection, "RESET ROLE")
    assert any("GRANT OPTION BY" in fact.extra for fact in live(connection))
    repair(connection)
    assert live(connection) == WANTED


# -- what the declared access amounts to ---------------------------------------------------------

PARTIES = (NAMES.owner, NAMES.rw, NAMES.ro, NAMES.rotator)
NORTH, SOUTH = uuid.UUID(int=1), uuid.UUID(int=2)
ENVELOPE = r"'\xf6'::bytea || decode(repeat('00', 60), 'hex')"


@pytest.fixture
def people(connection: Connection) -> Connection:
    """One person of each tenant, and access as declared."""
    repair(connection)
    run(connection, f'GRANT USAGE ON SCHEMA public, clinic TO {", ".join(PARTIES)}, "select"')
    for number, tenant in enumerate((NORTH, SOUTH), 1):
        run(
            connection,
            "INSERT INTO person (id, kind, tenant_id, ssn, ssn_index) VALUES"
            f" ({number}, 'person', '{tenant}', {ENVELOPE}, '{number}')",
        )
    return connection


def act(connection: Connection, role: str, tenant: uuid.UUID | None = None) -> None:
    run(connection, f"SET LOCAL ROLE {role}")
    run(connection, f"SELECT set_config('vaultdb.tenant', '{tenant or ''}', true)")


def refused(connection: Connection, statement: str) -> bool:
    """Tell whether PostgreSQL refuses a statement for want of a right."""
    run(connection, "SAVEPOINT before")
    try:
        run(connection, statement)
    except errors.InsufficientPrivilege:
        return True
    finally:
        run(connection, "ROLLBACK TO before")
    return False


@pytest.mark.parametrize("role", ["vaultdb_rw", "vaultdb_ro"])
def test_the_application_and_reports_see_the_rows_of_the_tenant(people, role):
    for tenant, expected in [(NORTH, [1]), (SOUTH, [2]), (None, [])]:
        act(people, role, tenant)
        assert people.scalars(text("SELECT id FROM person")).all() == expected


def test_reports_see_no_ciphertext(people):
    act(people, "vaultdb_ro", NORTH)
    assert refused(people, "SELECT ssn FROM person")
    assert refused(people, "SELECT ssn_index FROM person")
    assert refused(people, "SELECT * FROM person")
    assert not refused(people, "SELECT id, kind, tenant_id FROM person")
    assert refused(people, "UPDATE person SET kind = 'x'")


def test_the_rotator_sees_keys_and_ciphertext_of_all_rows_and_changes_only_the_latter(people):
    act(people, "vaultdb_rotator")
    rows = people.execute(text("SELECT id, tenant_id, ssn, ssn_index FROM person")).all()
    assert len(rows) == 2
    changed = people.execute(
        text("UPDATE person SET ssn = ssn, ssn_index = ssn_index WHERE id > 0")
    )
    assert changed.rowcount == 2
    for statement in (
        "SELECT kind FROM person",
        "UPDATE person SET kind = 'x'",
        "UPDATE person SET tenant_id = gen_random_uuid()",
        "DELETE FROM person",
        "INSERT INTO person (id) VALUES (3)",
        "SELECT id FROM small",
    ):
        assert refused(people, statement), statement


def test_a_policy_that_is_added_later_does_not_open_the_table(people):
    run(people, "CREATE POLICY later ON person TO vaultdb_rw USING (true) WITH CHECK (true)")
    act(people, "vaultdb_rw", NORTH)
    assert people.scalars(text("SELECT id FROM person")).all() == [1]


def test_a_foreign_key_is_checked_although_its_table_hides_all_rows_from_the_owner(people):
    act(people, "vaultdb_owner")
    assert people.scalars(text("SELECT id FROM person")).all() == []
    act(people, "vaultdb_rw", NORTH)
    run(people, f"INSERT INTO patient (id, diagnosis) VALUES (1, {ENVELOPE})")


def test_a_partition_is_no_way_past_the_policies_of_its_parent(people):
    run(people, "INSERT INTO event_log (id, day, tenant) VALUES (1, 1, 'x')")
    act(people, "vaultdb_rw")
    assert people.scalars(text("SELECT id FROM event_log")).all() == []
    assert refused(people, "SELECT id FROM event_log_1")


@pytest.mark.parametrize("table", ["person", "patient", "clinic.visit", "small", "closed"])
def test_nobody_truncates_and_nobody_else_is_let_in(people, table):
    for role in (*PARTIES[1:], '"select"'):
        act(people, role, NORTH)
        assert refused(people, f"TRUNCATE {table} CASCADE")
    run(people, "RESET ROLE")
    run(people, "CREATE ROLE somebody")
    run(people, "GRANT USAGE ON SCHEMA public, clinic TO somebody")
    act(people, "somebody", NORTH)
    assert refused(people, f"SELECT FROM {table}")


# -- drift ---------------------------------------------------------------------------------------

TABLES = [
    "person", "patient", "clinic.visit", "membership", "event_log", "small", "hand_made", "summary",
]  # fmt: skip
ROLES = ["vaultdb_rw", "vaultdb_ro", "vaultdb_rotator", PUBLIC, '"select"', "vaultdb_backup"]
COLUMNS = {
    "person": ["id", "tenant_id", "ssn", "ssn_index"], "patient": ["id", "diagnosis"],
    "clinic.visit": ["id", "note", "owner"], "membership": ["person", "tenant"],
    "event_log": ["id", "tenant"], "small": ["id", "json", "body"], "hand_made": ["id"],
    "summary": ["id"],
}  # fmt: skip


def table_grant(rng: random.Random, table: str) -> list[str]:
    privilege = rng.choice(["SELECT", "UPDATE", "INSERT", "DELETE", "TRUNCATE", "ALL", "TRIGGER"])
    return [f"GRANT {privilege} ON {table} TO {rng.choice(ROLES)}"]


def table_revoke(rng: random.Random, table: str) -> list[str]:
    """Wipes the grants on its columns too."""
    privilege = rng.choice(["SELECT", "UPDATE", "INSERT", "DELETE", "ALL"])
    return [f"REVOKE {privilege} ON {table} FROM {rng.choice(ROLES)}"]


def column_grant(rng: random.Random, table: str) -> list[str]:
    privilege = rng.choice(["SELECT", "UPDATE", "INSERT", "REFERENCES"])
    column, role = rng.choice(COLUMNS[table]), rng.choice(ROLES)
    return [f"GRANT {privilege} ({column}) ON {table} TO {role}"]


def column_revoke(rng: random.Random, table: str) -> list[str]:
    column, role = rng.choice(COLUMNS[table]), rng.choice(ROLES)
    return [f"REVOKE {rng.choice(['SELECT', 'UPDATE'])} ({column}) ON {table} FROM {role}"]


def passed_on(rng: random.Random, table: str) -> list[str]:
    """Grant with GRANT OPTION, and let the role pass it on: only it or a cascade revokes that."""
    privilege = rng.choice(["SELECT", "UPDATE", "INSERT"])
    first, second, third = rng.sample(["vaultdb_rw", "vaultdb_ro", "vaultdb_rotator"], 3)
    column = f" ({rng.choice(COLUMNS[table])})" if rng.random() < 0.5 else ""
    return [
        f"GRANT {privilege} ON {table} TO {first} WITH GRANT OPTION",
        f"SET LOCAL ROLE {first}",
        f"GRANT {privilege}{column} ON {table} TO {second} WITH GRANT OPTION",
        f"GRANT {privilege}{column} ON {table} TO {rng.choice(ROLES)}",
        f"SET LOCAL ROLE {second}",
        f"GRANT {privilege}{column} ON {table} TO {third}",
        "RESET ROLE",
    ]


def row_security(rng: random.Random, table: str) -> list[str]:
    change = rng.choice(["DISABLE", "NO FORCE", "ENABLE", "FORCE"])
    return [] if table == "summary" else [f"ALTER TABLE {table} {change} ROW LEVEL SECURITY"]


def policy(rng: random.Random, table: str) -> list[str]:
    """Add, drop, rewrite or open a policy."""
    if table == "summary":
        return []
    return rng.choice(
        [
            [f"CREATE POLICY p{rng.randrange(10**9)} ON {table} USING (true)"],
            [f"DROP POLICY IF EXISTS vaultdb_rows ON {table}"],
            [
                f"DROP POLICY IF EXISTS vaultdb_floor ON {table}",
                f"CREATE POLICY vaultdb_floor ON {table} AS RESTRICTIVE USING (true)",
            ],
            ["ALTER POLICY vaultdb_rows ON person TO PUBLIC USING (true)"]
            if table == "person" and rng.random() < 0.3
            else [],
        ]
    )


def sequence(rng: random.Random, _table: str) -> list[str]:
    name = rng.choice(["person_id_seq", "clinic.event_numbers", "clinic.visit_id_seq"])
    privilege, role = rng.choice(["ALL", "SELECT", "USAGE"]), rng.choice(ROLES[:3])
    option = rng.choice(["", " WITH GRANT OPTION"])
    return [
        f"REVOKE USAGE ON SEQUENCE {name} FROM vaultdb_rw CASCADE",
        f"GRANT {privilege} ON SEQUENCE {name} TO {role}{option}",
    ]


IMPOSSIBLE = (
    errors.UndefinedObject,
    errors.DependentObjectsStillExist,
    errors.InsufficientPrivilege,
    errors.InvalidGrantOperation,
)
DRIFTS: list[Callable[[random.Random, str], list[str]]] = [
    table_grant, table_revoke, column_grant, column_revoke, passed_on, row_security, policy,
    sequence,
]  # fmt: skip


def attempt(connection: Connection, statement: str) -> None:
    """Run a drift, unless an earlier one has made it impossible."""
    run(connection, "SAVEPOINT before")
    try:
        run(connection, statement)
    except IMPOSSIBLE:
        run(connection, "ROLLBACK TO before")


def test_from_any_drift_one_script_leads_back(connection):
    seed = random.randrange(10**6)  # pytest-randomly's
    rng = random.Random(seed)
    repair(connection)
    run(connection, "SAVEPOINT repaired")
    for _ in range(20):
        applied = []
        for _ in range(rng.randrange(1, 12)):
            for statement in rng.choice(DRIFTS)(rng, rng.choice(TABLES)):
                attempt(connection, statement)
                applied.append(statement)
            run(connection, "RESET ROLE")
        script = repair(connection)
        assert live(connection) == WANTED, f"seed {seed}: {applied} then {script}"
        run(connection, "ROLLBACK TO repaired")
