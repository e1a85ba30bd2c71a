"""Migrations run as their own login, once, for one realm, and can be taken back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.fixtures.postgres import REALM, Database, Postgres
from vaultdb.alembic import Patience
from vaultdb.alembic import own as migrations
from vaultdb.alembic.session import migrating
from vaultdb.db import schema
from vaultdb.errors import ConfigurationError, SchemaError

# What the catalogue says about the schema: columns, constraints, indexes, routines, privileges.
FACTS = """
    SELECT 'column', table_name, column_name, data_type || coalesce(column_default, '')
        || is_nullable FROM information_schema.columns WHERE table_schema = 'vaultdb'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'vaultdb'::regnamespace
    UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'vaultdb'
    UNION ALL SELECT 'routine', oid::regprocedure::text, proowner::regrole::text,
        pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'vaultdb'::regnamespace
    UNION ALL SELECT 'class', relname, relowner::regrole::text,
        coalesce(relacl::text, '') || coalesce(reloptions::text, '')
        FROM pg_class WHERE relnamespace = 'vaultdb'::regnamespace
    UNION ALL SELECT 'type', typname, typowner::regrole::text, coalesce(typacl::text, '')
        FROM pg_type WHERE typnamespace = 'vaultdb'::regnamespace AND typtype = 'd'
    UNION ALL SELECT 'column grant', attrelid::regclass::text, attname, attacl::text
        FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid IN
            (SELECT oid FROM pg_class WHERE relnamespace = 'vaultdb'::regnamespace)
"""


def facts(database: Database) -> set[tuple[str, ...]]:
    with database.connect() as connection:
        return set(connection.execute(FACTS).fetchall())


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[Database]:
    created = postgres.create_database(template="template0")
    yield created
    postgres.drop_database(created.name)


def engine(database: Database) -> sa.Engine:
    url = database.migrate_url.replace("postgresql:", "postgresql+psycopg:")
    return sa.create_engine(url, poolclass=sa.NullPool)


def downgrade(url: str, *, patience: Patience | None = None, **options: Any) -> migrations.Migrated:
    with migrating(url, patience=patience) as session:
        return migrations.downgrade_in(session, **options)


def test_up_down_up_ends_where_up_ended(empty: Database) -> None:
    migrations.upgrade(empty.migrate_url, realm=REALM)
    first = facts(empty)
    done = downgrade(empty.migrate_url, realm=REALM, revision="base")
    assert [step.split()[0] for step in done.revisions] == ["0002", "0001"]
    assert {fact[1] for fact in facts(empty) if fact[0] == "column"} == {"alembic_version"}
    migrations.upgrade(empty.migrate_url, realm=REALM)
    assert facts(empty) == first


def test_the_sql_for_a_dba_makes_the_same_schema(empty: Database, database: Database) -> None:
    with empty.connect("vaultdb_migrator") as connection:
        connection.execute(migrations.offline_sql(realm=REALM).encode())
    assert facts(empty) == facts(database)
    with engine(empty).connect() as connection:
        found = migrations.status(connection)
    assert (found.pending, found.realm) == ((), REALM)


def test_the_tables_in_python_are_the_tables_in_the_database(database: Database) -> None:
    with engine(database).connect() as connection:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == schema.SCHEMA,
            "version_table_schema": schema.SCHEMA,
        }
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, schema.metadata)
    # constraints and indexes are the migration's alone; columns must agree
    kinds = {"add_table", "remove_table", "add_column", "remove_column"}
    assert [d for d in differences if isinstance(d, list) or d[0] in kinds] == []


def test_running_again_changes_nothing(database: Database) -> None:
    before = facts(database)
    assert migrations.upgrade(database.migrate_url, realm=REALM).revisions == ()
    assert facts(database) == before


def test_the_owner_is_no_login(database: Database) -> None:
    done = migrations.upgrade(database.migrate_url, realm=REALM)
    assert done.owner == "vaultdb_owner"
    owners = {fact[2] for fact in facts(database) if fact[0] in ("class", "routine", "type")}
    assert owners == {"vaultdb_owner"}


def test_a_superuser_makes_objects_for_the_owner_too(empty: Database) -> None:
    with pytest.raises(ConfigurationError, match="is a superuser"):
        migrations.upgrade(empty.admin_url, realm=REALM)
    done = migrations.upgrade(empty.admin_url, realm=REALM, allow_superuser=True)
    assert done.owner == "vaultdb_owner"


def test_the_application_may_not_migrate(empty: Database) -> None:
    with pytest.raises(ConfigurationError, match="vaultdb_app is a member of vaultdb_rw"):
        migrations.upgrade(empty.url, realm=REALM)


def test_a_login_without_the_privilege_is_told_so(empty: Database) -> None:
    with pytest.raises(ConfigurationError, match="no member of vaultdb_owner"):
        migrations.upgrade(empty.officer_url, realm=REALM)


def test_another_realm_is_refused_and_nothing_changes(database: Database) -> None:
    before = facts(database)
    with pytest.raises(SchemaError, match=f"belongs to realm {REALM}"):
        migrations.upgrade(database.migrate_url, realm=uuid4())
    with pytest.raises(SchemaError, match=f"belongs to realm {REALM}"):
        downgrade(database.migrate_url, realm=uuid4(), revision="base")
    assert facts(database) == before


def test_keys_are_not_destroyed_by_a_slip(database: Database) -> None:
    insert_key(database)
    with pytest.raises(SchemaError, match=r"1 data keys .* --destroy-keys"):
        downgrade(database.migrate_url, realm=REALM, revision="base")
    downgrade(database.migrate_url, realm=REALM, revision="base", destroy_keys=True)


def test_a_failure_in_the_middle_leaves_nothing(empty: Database) -> None:
    with empty.connect() as connection:
        connection.execute("CREATE SCHEMA vaultdb AUTHORIZATION vaultdb_owner")
        connection.execute("CREATE TABLE vaultdb.logical_name ()")
    with pytest.raises(sa.exc.ProgrammingError, match="already exists"):
        migrations.upgrade(empty.migrate_url, realm=REALM)
    with empty.connect() as connection:
        assert connection.execute("SELECT to_regclass('vaultdb.realm')").fetchone() == (None,)


def test_two_migrations_at_once_do_not_meet(empty: Database) -> None:
    with empty.connect("vaultdb_migrator") as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(hashtext('vaultdb.migrate'))")
        with pytest.raises(SchemaError, match="another migration"):
            migrations.upgrade(empty.migrate_url, realm=REALM)


def test_the_function_concatenates_and_is_strict(database: Database) -> None:
    with database.connect("vaultdb_app") as connection:
        query = "SELECT vaultdb.bind_row(%b, %b), vaultdb.bind_row(NULL, %b)"
        row = connection.execute(query, (b"row", b"envelope", b"x"), binary=True).fetchone()
    assert row == (b"\x00\x00\x00\x03rowenvelope", None)


def test_the_function_is_computed_after_a_sort(database: Database) -> None:
    with database.connect("vaultdb_app") as connection:
        plan = connection.execute(
            "EXPLAIN (VERBOSE, COSTS OFF) SELECT vaultdb.bind_row(key_id, key_id)"
            " FROM vaultdb.data_key ORDER BY wrapped LIMIT 5"
        ).fetchall()
    lines = [line for (line,) in plan]
    sort = next(i for i, line in enumerate(lines) if "Sort" in line)
    assert not any("bind_row" in line for line in lines[sort:])


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        (b"\xf6" + bytes(59), True),
        (b"\xf6" + bytes(58), False),
        (b"\xf5" + bytes(59), False),
        (b"", False),
        (b"\xf6" + bytes(1_099_999), True),
        (b"\xf6" + bytes(1_100_000), False),
        (None, True),
    ],
)
def test_the_domain_stops_accidents(database: Database, value: bytes | None, fits: bool) -> None:
    with database.connect("vaultdb_app") as connection:
        try:
            connection.execute("SELECT %b::vaultdb.envelope", (value,))
        except psycopg.errors.CheckViolation:
            assert not fits
        else:
            assert fits


INSERT = """INSERT INTO vaultdb.data_key
    (key_id, realm, tenant, keyset, purpose, version, kek_version, wrapped)
    VALUES (decode(md5('k'), 'hex'), %s, '', 'default', 'data', 1, 1, 'vault:v1:x')"""


def insert_key(database: Database, user: str = "vaultdb_key_officer") -> None:
    with database.connect(user) as connection:
        connection.execute(INSERT, (REALM,))


@pytest.mark.parametrize(
    ("user", "statement", "allowed"),
    [
        ("vaultdb_app", "SELECT count(*) FROM vaultdb.data_key", True),
        ("vaultdb_app", "SELECT count(*) FROM vaultdb.realm", True),
        ("vaultdb_app", "UPDATE vaultdb.data_key SET wrapped = 'x'", False),
        ("vaultdb_app", "UPDATE vaultdb.data_key SET state = 'disabled'", False),
        ("vaultdb_app", "DELETE FROM vaultdb.data_key", False),
        ("vaultdb_app", "TRUNCATE vaultdb.data_key", False),
        ("vaultdb_app", "DROP TABLE vaultdb.data_key", False),
        ("vaultdb_app", "UPDATE vaultdb.realm SET created_at = now()", False),
        ("vaultdb_app", "DELETE FROM vaultdb.logical_name", False),
        ("vaultdb_app", "CREATE TABLE vaultdb.x ()", False),
        ("vaultdb_app", "ALTER FUNCTION vaultdb.bind_row(bytea, bytea) IMMUTABLE", False),
        ("vaultdb_key_officer", "UPDATE vaultdb.data_key SET wrapped = 'x'", False),
        ("vaultdb_key_officer", "DELETE FROM vaultdb.data_key", False),
        ("vaultdb_key_rotator", "UPDATE vaultdb.data_key SET wrapped = 'x'", True),
        ("vaultdb_key_rotator", "UPDATE vaultdb.data_key SET state = 'disabled'", True),
        ("vaultdb_key_rotator", "UPDATE vaultdb.data_key SET tenant = 'x'", False),
        ("vaultdb_key_rotator", "UPDATE vaultdb.data_key SET version = 9", False),
        ("vaultdb_key_rotator", "DELETE FROM vaultdb.data_key", False),
    ],
)
def test_each_login_may_do_its_own_work_only(
    database: Database, user: str, statement: str, allowed: bool
) -> None:
    insert_key(database)
    with database.connect(user) as connection:
        if allowed:
            connection.execute(statement)
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("user", ["vaultdb_app", "vaultdb_key_rotator"])
def test_only_the_officer_adds_keys(database: Database, user: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        insert_key(database, user)


def test_a_key_of_another_realm_cannot_be_stored(database: Database) -> None:
    with database.connect() as connection, pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute(INSERT, (UUID(int=7),))


def test_waiting_for_a_lock_ends(database: Database) -> None:
    patience = Patience(lock_timeout=0.1, attempts=1)
    held, release = threading.Event(), threading.Event()

    def reader() -> None:
        with database.connect("vaultdb_app") as connection, connection.transaction():
            connection.execute("SELECT 1 FROM vaultdb.data_key")
            held.set()
            release.wait(10)

    thread = threading.Thread(target=reader)
    thread.start()
    try:
        assert held.wait(10)
        with pytest.raises(SchemaError, match=r"a lock was in the way, 1 times for 0\.1 s"):
            downgrade(database.migrate_url, realm=REALM, revision="base", patience=patience)
    finally:
        release.set()
        thread.join()


@pytest.mark.parametrize(
    ("before", "after"),
    [("decrypt_only", "active"), ("disabled", "decrypt_only"), ("destroyed", "active")],
)
def test_a_state_never_gives_a_right_back(database: Database, before: str, after: str) -> None:
    insert_key(database)
    wrapped = ", wrapped = ''" if before == "destroyed" else ""
    with database.connect("vaultdb_key_rotator") as connection:
        connection.execute(f"UPDATE vaultdb.data_key SET state = '{before}'{wrapped}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="stays so"):
            connection.execute(f"UPDATE vaultdb.data_key SET state = '{after}', wrapped = 'x'")
