"""The application's login runs no DDL: PostgreSQL itself refuses every kind, static or leased."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.fixtures.postgres import Database

SET_UP = """
    SET ROLE vaultdb_owner;
    CREATE TABLE patient (id int PRIMARY KEY, name text CHECK (name <> ''), ssn bytea);
    CREATE INDEX by_name ON patient (name);
    CREATE SEQUENCE numbers;
    CREATE VIEW names AS SELECT name FROM patient;
    CREATE MATERIALIZED VIEW counts AS SELECT count(*) FROM patient;
    CREATE TYPE mood AS ENUM ('sad');
    CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION watched() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE TRIGGER noted BEFORE INSERT ON patient EXECUTE FUNCTION noted();
    CREATE POLICY everybody ON patient USING (true);
    ALTER TABLE patient ENABLE ROW LEVEL SECURITY;
    GRANT SELECT, INSERT, UPDATE, DELETE ON patient TO vaultdb_rw;
    GRANT USAGE ON SEQUENCE numbers TO vaultdb_rw;
"""

DDL = (
    "CREATE TABLE mine ()",
    "CREATE TABLE mine AS SELECT * FROM patient",
    "SELECT * INTO mine FROM patient",
    "CREATE TEMPORARY TABLE mine ()",
    "CREATE TABLE vaultdb.mine ()",
    "CREATE SCHEMA mine",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE MATERIALIZED VIEW mine AS SELECT 1",
    "CREATE SEQUENCE mine",
    "CREATE TYPE mine AS ENUM ('x')",
    "CREATE DOMAIN mine AS int",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE INDEX mine ON patient (id)",
    "CREATE INDEX CONCURRENTLY mine ON patient (id)",
    "CREATE UNIQUE INDEX mine ON patient (ssn)",
    "CREATE TRIGGER mine BEFORE INSERT ON patient EXECUTE FUNCTION noted()",
    "CREATE RULE mine AS ON INSERT TO patient DO INSTEAD NOTHING",
    "CREATE POLICY mine ON patient USING (true)",
    "CREATE EXTENSION dblink",
    "CREATE PUBLICATION mine FOR TABLE patient",
    "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION watched()",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "CREATE STATISTICS mine ON id, name FROM patient",
    "ALTER TABLE patient ADD COLUMN more int",
    "ALTER TABLE patient DROP COLUMN ssn",
    "ALTER TABLE patient ALTER ssn TYPE text USING ssn::text",
    "ALTER TABLE patient RENAME COLUMN ssn TO x",
    "ALTER TABLE patient RENAME TO x",
    "ALTER TABLE patient OWNER TO CURRENT_USER",
    "ALTER TABLE patient DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE patient NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE patient DISABLE TRIGGER noted",
    "ALTER TABLE patient DROP CONSTRAINT patient_name_check",
    "ALTER TABLE vaultdb.data_key ADD COLUMN more int",
    "ALTER POLICY everybody ON patient USING (false)",
    "ALTER SEQUENCE numbers RESTART",
    "ALTER TYPE mood ADD VALUE 'glad'",
    "ALTER FUNCTION one() SECURITY DEFINER",
    "ALTER SCHEMA public RENAME TO x",
    "ALTER DEFAULT PRIVILEGES FOR ROLE vaultdb_owner GRANT SELECT ON TABLES TO PUBLIC",
    "ALTER ROLE vaultdb_rw SUPERUSER",
    "ALTER SYSTEM SET log_statement = 'all'",
    "TRUNCATE patient",
    "DROP TABLE patient CASCADE",
    "DROP INDEX by_name",
    "DROP SEQUENCE numbers",
    "DROP VIEW names",
    "DROP TYPE mood",
    "DROP FUNCTION one()",
    "DROP TRIGGER noted ON patient",
    "DROP POLICY everybody ON patient",
    "DROP SCHEMA vaultdb CASCADE",
    "DROP DOMAIN vaultdb.envelope",
    "DROP OWNED BY vaultdb_owner",
    "REASSIGN OWNED BY vaultdb_owner TO CURRENT_USER",
    "REINDEX TABLE patient",
    "CLUSTER patient USING by_name",
    "REFRESH MATERIALIZED VIEW counts",
    "COMMENT ON TABLE patient IS 'mine'",
    "SECURITY LABEL ON TABLE patient IS 'mine'",
    "SET ROLE vaultdb_owner",
    "SET SESSION AUTHORIZATION vaultdb_owner",
)

# Without a grant option PostgreSQL only warns, and without a provider a label is a plain error.
ANOTHER_ERROR = {"SECURITY LABEL": "22023"}
WITHOUT_EFFECT = (
    "GRANT SELECT ON patient TO PUBLIC",
    "GRANT vaultdb_owner TO CURRENT_USER",
    "REVOKE ALL ON patient FROM vaultdb_ro",
)

PRIVILEGES = "SELECT relname, relacl::text FROM pg_class WHERE relname = 'patient'"
MEMBERS = "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members ORDER BY 1"


@pytest.fixture(params=["static", "leased"])
def application(request: pytest.FixtureRequest, database: Database) -> Iterator[psycopg.Connection]:
    """The application's login: the static one, or one as Vault makes it."""
    login = "vaultdb_app"
    with database.connect() as admin:
        admin.execute(SET_UP)
        if request.param == "leased":
            login = f"v_vaultdb_app_rw_{database.name}"
            admin.execute("RESET ROLE")
            admin.execute(f"CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE vaultdb_rw".encode())
            database.postgres.passwords[login] = "x"
    with database.connect(login) as connection:
        yield connection
    with database.connect() as admin:
        if request.param == "leased":
            admin.execute(f"DROP ROLE {login}".encode())


def test_every_kind_of_ddl_is_refused_for_want_of_privilege(
    application: psycopg.Connection,
) -> None:
    """One connection for all: 60 databases would take 60 times as long."""
    wrong = {}
    for statement in DDL:
        expected = next(
            (state for mark, state in ANOTHER_ERROR.items() if statement.startswith(mark)), "42501"
        )
        try:
            application.execute(statement)
        except psycopg.Error as error:
            if error.sqlstate != expected:
                wrong[statement] = error.sqlstate
        else:
            wrong[statement] = "allowed"
    assert wrong == {}


def test_granting_has_no_effect(application: psycopg.Connection, database: Database) -> None:
    with database.connect() as admin:
        before = admin.execute(PRIVILEGES).fetchall(), admin.execute(MEMBERS).fetchall()
        for statement in WITHOUT_EFFECT:
            try:
                application.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                continue
        assert (admin.execute(PRIVILEGES).fetchall(), admin.execute(MEMBERS).fetchall()) == before


def test_the_statements_are_ones_that_the_owner_may_run(database: Database) -> None:
    """Otherwise a misspelt statement would pass as a refused one."""
    with database.connect() as connection:
        connection.execute(SET_UP)
        connection.execute("RESET ROLE")
        wrong = {}
        for statement in DDL:
            if statement.startswith((*ANOTHER_ERROR, *_NOT_TRIED)):
                continue
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(statement)
            except psycopg.Error as error:
                wrong[statement] = str(error)
    assert wrong == {}


# These cannot run in a transaction, need files of the server, or touch every database.
_NOT_TRIED = (
    "CREATE INDEX CONCURRENTLY",
    "CREATE EXTENSION",
    "CREATE DATABASE",
    "ALTER SYSTEM",
    "ALTER ROLE vaultdb_rw",
    "DROP OWNED",
    "REASSIGN",
)
