"""Setting a PostgreSQL up: complete, repeatable, with no more rights than needed."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.postgres import Database, Postgres
from tests.integration.provision.conftest import OwnRoles, scalar
from vaultdb.db.role_names import RoleNames
from vaultdb.dev.databases import administrator
from vaultdb.errors import ConfigurationError
from vaultdb.provision.postgres_setup import postgres as set_up
from vaultdb.provision.postgres_spec import PostgresSpec, all_logins
from vaultdb.roles.static_logins import engine_login

ROLES = "SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles"


def test_a_second_run_changes_nothing(own_roles: OwnRoles) -> None:
    names = own_roles.names
    passwords = {engine_login(names): "first", all_logins(names)[0]: "ünîcode"}
    spec = own_roles.spec(logins=all_logins(names), passwords=passwords)
    assert own_roles.differing(spec)
    assert own_roles.differing(spec) == []
    assert own_roles.differing(spec, plan=True) == []


def test_a_plan_shows_the_sql_and_changes_nothing(own_roles: OwnRoles) -> None:
    with own_roles.connect() as connection:
        before = scalar(connection, ROLES)
        steps = set_up(connection, own_roles.spec(), plan=True)
        assert any("CREATE ROLE" in line for step in steps for line in step.detail)
        assert scalar(connection, ROLES) == before


def test_half_of_the_roles_are_completed(own_roles: OwnRoles) -> None:
    names = own_roles.names
    with own_roles.database.connect() as connection:
        for role in (names.owner, names.rw, engine_login(names)):
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        schema = sql.Identifier(f"{names.prefix}admin")
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    own_roles.set_up(own_roles.spec())
    assert own_roles.differing(own_roles.spec()) == []


def test_the_engines_login_may_give_roles_away_and_use_none(own_roles: OwnRoles) -> None:
    names, database = own_roles.names, own_roles.database
    login = engine_login(names)
    own_roles.set_up(own_roles.spec(passwords={login: "secret"}))
    conninfo = database.postgres.server.conninfo(database.name, user=login, password="secret")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        assert attributes(connection) == {"rolcreaterole", "rolcanlogin", "rolinherit"}
        if database.postgres.major < 16:
            return  # there CREATEROLE is what it is, and has to be accepted
        memberships = connection.execute(
            "SELECT roleid::regrole::text, admin_option, inherit_option, set_option"
            " FROM pg_auth_members WHERE member = quote_ident(current_user)::regrole"
        ).fetchall()
        assert len(memberships) == len(names.all) - 1  # nobody is given audit_owner
        assert {tuple(options) for _, *options in memberships} == {(True, False, False)}
        for statement in (
            sql.SQL("SET ROLE {}").format(sql.Identifier(names.rw)),
            sql.SQL("SELECT FROM vaultdb.data_key"),
            sql.SQL("GRANT pg_read_all_data TO CURRENT_USER"),
            sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(names.audit_owner)),
            sql.SQL("ALTER ROLE vaultdb_app PASSWORD 'stolen'"),
            sql.SQL("CREATE ROLE evil SUPERUSER"),
            sql.SQL("CREATE ROLE evil BYPASSRLS"),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def attributes(connection: psycopg.Connection) -> set[str]:
    """What the current login may do beside being there."""
    words = "rolsuper rolinherit rolcreaterole rolcreatedb rolcanlogin rolreplication rolbypassrls"
    columns = sql.SQL(", ").join(map(sql.Identifier, words.split()))
    statement = sql.SQL("SELECT {} FROM pg_roles WHERE rolname = current_user").format(columns)
    row = connection.execute(statement).fetchone() or ()
    return {word for word, on in zip(words.split(), row, strict=True) if on}


def test_what_somebody_gave_the_engines_login_is_shown_and_taken(own_roles: OwnRoles) -> None:
    own_roles.set_up(own_roles.spec())
    login = sql.Identifier(engine_login(own_roles.names))
    schema = sql.Identifier(f"{own_roles.names.prefix}admin")
    with own_roles.database.connect() as connection:
        for statement in (
            sql.SQL("GRANT pg_read_all_data TO {login}"),
            sql.SQL("ALTER ROLE {login} CREATEDB BYPASSRLS"),
            sql.SQL("GRANT EXECUTE ON FUNCTION {schema}.kill_sessions(name) TO PUBLIC"),
            sql.SQL("ALTER FUNCTION {schema}.kill_sessions(name) SET search_path = public"),
            sql.SQL("GRANT ALL ON SCHEMA {schema} TO PUBLIC"),
        ):
            connection.execute(statement.format(login=login, schema=schema))
    (step,) = [s for s in own_roles.differing(own_roles.spec(), plan=True) if "engine" in s.what]
    shown = " / ".join(step.detail)
    for words in (
        "no member of pg_read_all_data", "NOBYPASSRLS NOCREATEDB", "nothing on the schema for PUBLIC",
        "kill_sessions not for PUBLIC", "function kill_sessions",
    ):  # fmt: skip
        assert words in shown
    own_roles.set_up(own_roles.spec())
    assert own_roles.differing(own_roles.spec()) == []


def test_postgresql_15_is_refused_with_what_createrole_means_there(postgres: Postgres) -> None:
    if postgres.major > 15:
        pytest.skip("from 16 on the login may give away what it is told")
    with (
        administrator(postgres.server.conninfo()) as connection,
        pytest.raises(ConfigurationError, match=r"every role but a superuser.*--static"),
    ):
        set_up(connection, PostgresSpec(RoleNames("never_")), plan=True)


def test_a_login_that_is_no_administrator_is_told_so(database: Database) -> None:
    conninfo = database.postgres.server.conninfo(
        database.name, user="vaultdb_app", password=database.postgres.passwords["vaultdb_app"]
    )
    with (
        administrator(conninfo) as connection,
        pytest.raises(
            ConfigurationError, match="may not end the sessions of revoked logins: grant it"
        ),
    ):
        set_up(connection, PostgresSpec(RoleNames("never_"), accept_createrole=True))


def test_passwords_are_sent_as_verifiers_and_the_engines_is_set_once(own_roles: OwnRoles) -> None:
    names = own_roles.names
    app, engine = all_logins(names)[1], engine_login(names)

    def stored() -> dict[str, str]:
        with own_roles.database.connect() as connection:
            return dict(
                connection.execute(
                    "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY(%s)",
                    [[app, engine]],
                ).fetchall()
            )

    own_roles.set_up(own_roles.spec(logins=(app,), passwords={app: "one", engine: "one"}))
    first = stored()
    assert all(verifier.startswith("SCRAM-SHA-256$") for verifier in first.values())
    other = {app: "two", engine: "two"}
    own_roles.set_up(own_roles.spec(logins=(app,), passwords=other))
    assert stored()[app] != first[app]
    assert stored()[engine] == first[engine]  # vault may have changed it, the file is old
    own_roles.set_up(own_roles.spec(logins=(app,), passwords=other, reset_engine=True))
    assert stored()[engine] != first[engine]


def test_kill_sessions_ends_leased_logins_only(own_roles: OwnRoles) -> None:
    own_roles.set_up(own_roles.spec())
    database, victim = own_roles.database, sql.Identifier(f"v_vaultdb_{own_roles.names.rw}")
    server = database.postgres.server
    with database.connect() as admin, psycopg.connect(database.url) as other:
        schema = sql.Identifier(f"{own_roles.names.prefix}admin")
        kill = sql.SQL("SELECT {}.kill_sessions({})")
        assert admin.execute(kill.format(schema, "vaultdb_app")).fetchone() == (0,)
        other.execute("SELECT 1")
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(victim))
        try:
            admin.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                    sql.Identifier(database.name), victim
                )
            )
            name = f"v_vaultdb_{own_roles.names.rw}"
            with psycopg.connect(server.conninfo(database.name, user=name, password="x")) as leased:
                assert admin.execute(kill.format(schema, name)).fetchone() == (1,)
                with pytest.raises(psycopg.OperationalError):
                    leased.execute("SELECT 1")
        finally:
            admin.execute(sql.SQL("DROP OWNED BY {}").format(victim))
            admin.execute(sql.SQL("DROP ROLE {}").format(victim))
