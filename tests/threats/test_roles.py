"""What a stolen login, or a careless administrator, cannot do once roles are applied."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.fixtures.postgres import Database, Postgres
from vaultdb.db.role_names import RoleNames
from vaultdb.db.url import normalise_url
from vaultdb.roles.apply import apply
from vaultdb.roles.static_logins import static_logins

DENIED = psycopg.errors.InsufficientPrivilege
PREFIX = "threat_"


@pytest.fixture(scope="module")
def database(any_postgres: Postgres) -> Iterator[Database]:
    """A database with roles of its own."""
    from sqlalchemy import create_engine

    names = RoleNames(PREFIX)
    with psycopg.connect(any_postgres.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE threat_roles")
    database = Database(any_postgres, "threat_roles")
    engine = create_engine(normalise_url(database.admin_url))
    with engine.connect() as connection:
        apply(connection, None, names, logins=[login.name for login in static_logins(names)])
    engine.dispose()
    with database.connect() as connection:
        for login in ("app", "migrator"):
            any_postgres.passwords[f"{PREFIX}{login}"] = "for-this-test-0"
            connection.execute(f"ALTER ROLE {PREFIX}{login} PASSWORD 'for-this-test-0'")
    yield database
    any_postgres.drop_database(database.name)
    with psycopg.connect(any_postgres.admin_url, autocommit=True) as connection:
        for role in [*names.all, *(login.name for login in static_logins(names))]:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


def denied(database: Database, user: str, *statements: str) -> None:
    with database.connect(user) as connection:
        for statement in statements:
            with pytest.raises(DENIED):
                connection.execute(statement)


def test_a_stranger_to_the_database_does_not_come_in(database):
    with database.connect() as connection:
        connection.execute("CREATE ROLE threat_stranger LOGIN PASSWORD 'for-this-test-1'")
    database.postgres.passwords["threat_stranger"] = "for-this-test-1"
    try:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            database.connect("threat_stranger")
    finally:
        with database.connect() as connection:
            connection.execute("DROP ROLE threat_stranger")


def test_the_migrator_cannot_touch_what_operators_did(database):
    denied(
        database,
        f"{PREFIX}migrator",
        "SELECT * FROM vaultdb_audit.operation",
        "DELETE FROM vaultdb_audit.operation",
        "DROP SCHEMA vaultdb_audit CASCADE",
        "ALTER TABLE vaultdb_audit.operation DISABLE TRIGGER ALL",
        f"SET ROLE {PREFIX}audit_owner",
    )


def test_the_migrator_cannot_write_the_record_in_anothers_name(database):
    denied(
        database,
        f"{PREFIX}migrator",
        "INSERT INTO vaultdb_audit.operation (login, action, object) VALUES ('dba', 'a', 'b')",
        "INSERT INTO vaultdb_audit.operation (at, action, object) VALUES ('epoch', 'a', 'b')",
        "INSERT INTO vaultdb_audit.operation (id, action, object)"
        " OVERRIDING SYSTEM VALUE VALUES (1, 'a', 'b')",
    )
    with database.connect(f"{PREFIX}migrator") as connection:
        connection.execute("INSERT INTO vaultdb_audit.operation (action, object) VALUES ('a', 'b')")
    with database.connect() as connection:
        last = "SELECT login FROM vaultdb_audit.operation ORDER BY id DESC LIMIT 1"
        assert connection.execute(last).fetchone() == (f"{PREFIX}migrator",)


def test_a_temporary_table_cannot_take_the_place_of_a_real_one(database):
    denied(database, f"{PREFIX}app", "CREATE TEMPORARY TABLE patient (id int)")
    with database.connect(f"{PREFIX}app") as connection:
        path = connection.execute("SHOW search_path").fetchone()
    assert path == ("public, pg_temp",)


def test_a_function_that_a_migration_makes_is_closed_until_it_is_granted(database):
    with database.connect(f"{PREFIX}migrator") as connection:
        connection.execute("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    try:
        denied(database, f"{PREFIX}app", "SELECT public.f()")
    finally:
        with database.connect(f"{PREFIX}migrator") as connection:
            connection.execute("DROP FUNCTION public.f()")


def test_the_application_cannot_get_more_rights(database):
    denied(
        database,
        f"{PREFIX}app",
        f"SET ROLE {PREFIX}owner",
        f"GRANT {PREFIX}owner TO {PREFIX}app",
        f"ALTER ROLE {PREFIX}app CREATEDB",
        f"ALTER ROLE {PREFIX}migrator PASSWORD 'mine'",
        "SELECT lo_create(0)",
        "SET session_replication_role = replica",
        "CREATE SCHEMA mine",
        "CREATE TABLE public.mine (id int)",
        "CREATE PUBLICATION mine FOR ALL TABLES",
    )


def test_what_the_migrator_makes_belongs_to_the_owner_and_the_app_cannot_see_it(database):
    with database.connect(f"{PREFIX}migrator") as connection:
        connection.execute("CREATE TABLE public.fresh (id int)")
        owner = connection.execute(
            "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'fresh'"
        ).fetchone()
    try:
        assert owner == (f"{PREFIX}owner",)
        denied(database, f"{PREFIX}app", "SELECT * FROM public.fresh", "DROP TABLE public.fresh")
    finally:
        with database.connect(f"{PREFIX}migrator") as connection:
            connection.execute("DROP TABLE public.fresh")
