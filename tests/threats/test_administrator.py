"""What the migrator leaves lying in a database does not run when an administrator comes by."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection

from tests.fixtures.postgres import Database
from vaultdb.alembic.login import migrator_engine
from vaultdb.alembic.session import connected
from vaultdb.db.connect import new_engine
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError
from vaultdb.provision.postgres_setup import postgres as set_up
from vaultdb.provision.postgres_spec import PostgresSpec
from vaultdb.roles.apply import apply
from vaultdb.roles.matrix import matrix
from vaultdb.roles.script import offline_sql
from vaultdb.roles.verify import verify
from vaultdb.settings import DatabaseSettings, Settings

NAMES = RoleNames()
SPEC = PostgresSpec(NAMES, accept_createrole=True)

# They fit better than PostgreSQL's own, which take text, because names are not text.
FUNCTIONS = [
    ("quote_ident", "name", "text"),
    ("quote_ident", "varchar", "text"),
    ("starts_with", "name, text", "boolean"),
    ("starts_with", "name, varchar", "boolean"),
    ("hashtext", "varchar", "integer"),
    ("format", "text, name, name", "text"),
    ("format", "text, name, name, name", "text"),
    ("jsonb_build_array", "text, text, text", "jsonb"),
    ("jsonb_build_array", "boolean, boolean, boolean", "jsonb"),
    ("jsonb_object_agg", "name, jsonb", "jsonb"),
]
OPERATORS = [
    ("=", "oid", "regtype"),  # psycopg's question for hstore, which SQLAlchemy asks
    ("=", "name", "varchar"),
    ("=", "name", "varchar[]"),
    ("=", "text", "varchar"),
    ("||", "text", "name"),
    ("||", "name", "text"),
]
_BODY = """
    BEGIN
      IF (SELECT rolsuper FROM pg_catalog.pg_roles
          WHERE rolname OPERATOR(pg_catalog.=) current_user) THEN
        RAISE EXCEPTION 'the trap has run as a superuser';
      END IF;
      RETURN NULL;
    END
"""


@pytest.fixture
def trapped(any_database: Database) -> Database:
    """A database in which the migrator waits for an administrator."""
    with any_database.connect("vaultdb_migrator") as connection:
        for name, arguments, result in FUNCTIONS:
            _make(connection, f'"{name}"({arguments})', result)
        for number, (name, left, right) in enumerate(OPERATORS):
            result = "text" if name == "||" else "boolean"
            _make(connection, f"trap_{number}({left}, {right})", result)
            connection.execute(
                f"CREATE OPERATOR public.{name}"
                f" (FUNCTION = public.trap_{number}, LEFTARG = {left}, RIGHTARG = {right})"
            )
    return any_database


def _make(connection: psycopg.Connection, signature: str, result: str) -> None:
    connection.execute(
        f"CREATE FUNCTION public.{signature} RETURNS {result} LANGUAGE plpgsql AS $${_BODY}$$"
    )


DONE_BY_AN_ADMINISTRATOR: dict[str, Callable[[Connection], object]] = {
    "verify": lambda connection: verify(connection, None, NAMES),
    "apply": lambda connection: apply(connection, None, NAMES),
    "matrix": lambda connection: matrix(connection, ["vaultdb", "public"], NAMES),
    "provision": lambda connection: set_up(connection, SPEC),
    "provision --plan": lambda connection: set_up(connection, SPEC, plan=True),
}


def _settings(database: Database) -> DatabaseSettings:
    return DatabaseSettings(url=SecretStr(database.admin_url))


@pytest.mark.parametrize("command", DONE_BY_AN_ADMINISTRATOR)
def test_an_administrators_command_runs_nothing_of_the_migrators(trapped, command):
    engine = new_engine(_settings(trapped), searches_models=False)
    with trapped.connect() as connection:
        connection.execute("REVOKE vaultdb_rw FROM vaultdb_app")  # something to do
    try:
        with engine.connect() as connection:
            # what the caller's own session searches must not matter
            connection.exec_driver_sql("SET search_path = public")
            connection.commit()
            DONE_BY_AN_ADMINISTRATOR[command](connection)
            assert connection.exec_driver_sql("SHOW search_path").scalar() == "public"
    finally:
        engine.dispose()
        with trapped.connect() as connection:
            connection.execute("GRANT vaultdb_rw TO vaultdb_app")


def test_the_script_for_a_dba_runs_nothing_of_the_migrators(trapped):
    script = offline_sql([], NAMES)
    statements = [line for line in script.splitlines() if not line.startswith("\\")]
    with trapped.connect() as connection:
        connection.execute("\n".join(statements))


def test_a_superuser_who_is_refused_as_a_migrator_has_run_nothing_of_the_migrators(trapped):
    engine = new_engine(_settings(trapped), searches_models=False)
    with engine.connect() as connection:  # the driver has asked its questions
        connection.exec_driver_sql("SELECT 1")
    with pytest.raises(ConfigurationError, match="is a superuser"), connected(engine):
        pass
    engine.dispose()


def test_a_superusers_url_for_migrations_is_refused_before_anything_runs(trapped):
    """Also in the questions that the driver asks when it connects."""
    with pytest.raises(ConfigurationError, match="is a superuser"), connected(trapped.admin_url):
        pass
    engine = migrator_engine(Settings(realm=trapped.realm, database=_settings(trapped)))
    with pytest.raises(ConfigurationError, match="is a superuser"), connected(engine):
        pass
    engine.dispose()


def test_the_engines_functions_are_not_made_where_the_migrator_can_replace_them(any_database):
    with any_database.connect() as connection:
        connection.execute("DROP SCHEMA vaultdb_admin CASCADE")
    with any_database.connect("vaultdb_migrator") as connection:
        connection.execute("CREATE SCHEMA vaultdb_admin")
    engine = new_engine(_settings(any_database), searches_models=False)
    with engine.connect() as connection, pytest.raises(ConfigurationError, match="DROP SCHEMA"):
        set_up(connection, SPEC)
    engine.dispose()
