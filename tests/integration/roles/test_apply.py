from __future__ import annotations

import threading

import psycopg
import pytest
from sqlalchemy import text

from tests.integration.roles.conftest import METADATA
from vaultdb.alembic.trees import own_tree
from vaultdb.db.quoting import quote_name
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError, SchemaError
from vaultdb.roles import apply as apply_module
from vaultdb.roles.apply import apply
from vaultdb.roles.plan import plan
from vaultdb.roles.script import offline_sql
from vaultdb.roles.static_logins import static_logins
from vaultdb.roles.verify import verify


def all_logins(names):
    return [login.name for login in static_logins(names)]


def test_a_fresh_database_gets_everything_and_the_second_run_changes_nothing(place, admin):
    logins = all_logins(place.names)
    first = apply(admin, None, place.names, logins=logins)
    assert first.statements
    assert first.recorded
    assert not first.left
    again = apply(admin, None, place.names, logins=logins)
    assert again.statements == ()
    assert not again.recorded
    assert not plan(admin, None, place.names, logins=logins)


def test_a_plan_changes_nothing_and_says_everything(here, admin_here):
    logins = all_logins(here.names)
    planned = plan(admin_here, None, here.names, logins=logins)
    assert planned == plan(admin_here, None, here.names, logins=logins)
    admin_here.rollback()
    done = apply(admin_here, None, here.names, logins=logins)
    assert done.statements == planned.statements


def test_applying_in_a_transaction_that_is_rolled_back_leaves_nothing(here, admin_here):
    with admin_here.begin() as transaction:
        assert apply(admin_here, None, here.names).statements
        assert not plan(admin_here, None, here.names)
        transaction.rollback()
    assert plan(admin_here, None, here.names)


def test_names_that_need_quoting_work(place, admin):
    names = RoleNames(place.names.prefix + 'Ü %s :x "y')
    logins = all_logins(names)
    assert not apply(admin, None, names, logins=logins).left
    assert apply(admin, None, names, logins=logins).statements == ()


def test_what_was_done_is_recorded_with_the_login(here, admin_here):
    apply(admin_here, None, here.names)
    row = admin_here.execute(
        text("SELECT login, action, object FROM vaultdb_audit.operation")
    ).one()
    assert tuple(row) == ("vaultdb_admin", "roles apply", here.database.name)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE vaultdb_audit.operation SET login = 'nobody'",
        "DELETE FROM vaultdb_audit.operation",
        "TRUNCATE vaultdb_audit.operation",
    ],
)
def test_the_record_is_append_only_even_for_a_superuser(here, admin_here, statement):
    apply(admin_here, None, here.names)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        here.run(statement)


def test_half_existing_roles_are_completed(place, admin):
    prefix = place.names.prefix
    place.run(
        f"CREATE ROLE {prefix}owner",
        f"CREATE ROLE {prefix}rw LOGIN SUPERUSER CREATEDB CONNECTION LIMIT 3",
        f"CREATE ROLE {prefix}migrator LOGIN IN ROLE {prefix}owner",
        f"CREATE ROLE {prefix}app LOGIN CREATEROLE BYPASSRLS CONNECTION LIMIT 7",
        f"GRANT {prefix}owner TO {prefix}app WITH ADMIN OPTION",
        "CREATE SCHEMA vaultdb_audit",
        "CREATE TABLE vaultdb_audit.operation (id int, action text, object text, detail jsonb)",
    )
    done = apply(admin, None, place.names)
    assert not done.left
    roles = dict(
        admin.execute(
            text("""
                SELECT rolname, format('%s %s %s %s %s %s', rolcanlogin, rolsuper, rolcreaterole,
                  rolcreatedb, rolbypassrls, rolconnlimit)
                FROM pg_roles WHERE starts_with(rolname, :prefix)"""),
            {"prefix": prefix},
        ).all()
    )
    assert roles[f"{prefix}rw"] == "f f f f f -1"
    assert roles[f"{prefix}app"] == "t f f f f 7"  # a limit that somebody chose stays
    member = "SELECT pg_has_role(:login, :role, 'MEMBER')"
    assert not admin.scalar(text(member), {"login": f"{prefix}app", "role": f"{prefix}owner"})
    assert admin.scalar(text(member), {"login": f"{prefix}app", "role": f"{prefix}rw"})


def test_a_membership_that_another_administrator_granted_is_taken_back(place, admin):
    prefix = place.names.prefix
    apply(admin, None, place.names, logins=all_logins(place.names))
    place.run(
        f"CREATE ROLE {prefix}dba LOGIN CREATEROLE",
        f"GRANT {prefix}owner TO {prefix}dba WITH ADMIN OPTION",
        f"SET ROLE {prefix}dba",
        f"GRANT {prefix}owner TO {prefix}app",
        "RESET ROLE",
    )
    planned = plan(admin, None, place.names)
    assert {(fact.object, fact.who) for fact in planned.excess} == {
        (f"{prefix}owner", f"{prefix}app"),
        (f"{prefix}owner", f"{prefix}dba"),
    }
    admin.rollback()
    assert not apply(admin, None, place.names).left


def test_what_an_administrator_chose_stays(here, admin_here):
    here.run(
        f"ALTER DATABASE {here.database.name} SET search_path = clinic, public",
        f"ALTER DATABASE {here.database.name} SET statement_timeout = '3min'",
        f"ALTER DATABASE {here.database.name} SET lock_timeout = 0",
    )
    apply(admin_here, None, here.names)
    settings = admin_here.scalar(
        text("""
            SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
            WHERE datname = current_database() AND setrole = 0""")
    )
    assert sorted(settings) == [
        "idle_in_transaction_session_timeout=60s",
        "lock_timeout=5s",
        "search_path=clinic, public, pg_temp",
        "statement_timeout=3min",
    ]


def test_a_login_that_may_not_change_roles_is_told_so(here, admin_here):
    apply(admin_here, None, here.names, logins=all_logins(here.names))
    here.run(f"CREATE ROLE {here.names.prefix}nobody LOGIN IN ROLE {here.names.auditor}")
    for login, reason in (
        (f"{here.names.prefix}nobody", "use a superuser's, or one with CREATEROLE"),
        (f"{here.names.prefix}migrator", "is one of the roles that would be changed"),
    ):
        engine = here.engine(here.url_for(login))
        with engine.connect() as connection, pytest.raises(ConfigurationError, match=reason):
            apply(connection, None, here.names)


def test_a_login_with_createrole_does_what_it_may_and_leaves_the_rest(place):
    prefix = place.names.prefix
    place.run(
        f"CREATE ROLE {prefix}dba LOGIN CREATEROLE",
        f"ALTER DATABASE {place.database.name} OWNER TO {prefix}dba",
    )
    engine = place.engine(place.url_for(f"{prefix}dba"))
    with engine.connect() as connection:
        done = apply(connection, None, place.names, logins=all_logins(place.names))
        again = apply(connection, None, place.names, logins=all_logins(place.names))
    assert done.recorded
    left = set(done.left.statements)
    only_a_superuser = {
        "REVOKE EXECUTE ON FUNCTION pg_catalog.lo_creat(integer) FROM PUBLIC",
        "REVOKE EXECUTE ON FUNCTION pg_catalog.lo_create(oid) FROM PUBLIC",
        "REVOKE EXECUTE ON FUNCTION pg_catalog.lo_from_bytea(oid,bytea) FROM PUBLIC",
        f"ALTER ROLE {prefix}backup BYPASSRLS",
    }
    if place.major >= 16:
        only_a_superuser.add(
            f"GRANT pg_read_all_data TO {prefix}backup WITH INHERIT TRUE, SET TRUE"
        )
    assert left == only_a_superuser
    assert any("bypassrls" in reason.lower() for reason in done.reasons)
    assert again.statements == ()
    assert not again.recorded
    with place.database.connect() as connection:
        kept = connection.execute(
            "SELECT pg_has_role(%s, %s, 'USAGE')", [f"{prefix}dba", f"{prefix}owner"]
        ).fetchone()
    assert kept == (False,)  # what it borrowed for the while is given back


def test_two_runs_at_once_wait_for_each_other(here, admin_here, monkeypatch):
    monkeypatch.setattr(apply_module, "LOCK_SECONDS", 0.3)
    other = here.engine()
    with other.begin() as connection:
        apply(connection, None, here.names)
        with pytest.raises(SchemaError, match="another run of roles apply holds the lock"):
            apply(admin_here, None, here.names)
        connection.rollback()
    assert not apply(admin_here, None, here.names).left


def test_runs_in_two_databases_at_once_both_succeed(here, any_postgres):
    second = any_postgres.create_database(template="template0")
    failures = []

    def run(url: str) -> None:
        try:
            with here.engine(url).connect() as connection:
                assert not apply(connection, None, here.names).left
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [
        threading.Thread(target=run, args=(url,))
        for url in (here.database.admin_url, second.admin_url)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    any_postgres.drop_database(second.name)
    assert failures == []


def test_a_statement_that_postgresql_refuses_undoes_everything(here, admin_here):
    here.run("CREATE SCHEMA vaultdb_audit", "CREATE VIEW vaultdb_audit.operation AS SELECT 1")
    with pytest.raises(ConfigurationError, match="cannot apply roles: PostgreSQL says"):
        apply(admin_here, None, here.names)
    assert f"CREATE ROLE {here.names.rw}" in str(plan(admin_here, None, here.names).statements)


def test_the_script_for_a_dba_does_the_same_and_may_run_again(place, admin, tmp_path):
    names = RoleNames(place.names.prefix + 'Ü "y')
    place.run(
        "CREATE SCHEMA clinic",
        "CREATE TABLE clinic.visit (id serial PRIMARY KEY, note text)",
    )
    script = offline_sql([METADATA], names, logins=all_logins(names))
    script = script.replace("\\set ON_ERROR_STOP on\n", "")  # psql's own
    for _ in range(2):
        with place.database.connect() as connection:
            connection.execute(script)
    admin.exec_driver_sql(f"ALTER TABLE clinic.visit OWNER TO {quote_name(names.owner)}")
    found = verify(admin, METADATA, names)
    assert found.drifts == ()
    assert {note.text for note in found.notes} >= {
        "clinic.patient is declared and does not exist yet",
    }


def test_a_table_that_comes_later_is_granted_by_the_next_run(here, admin_here):
    first = apply(admin_here, METADATA, here.names)
    assert set(first.left.comparison.absent) >= {"clinic.patient", "clinic.visit"}
    here.run("CREATE SCHEMA clinic", "CREATE TABLE clinic.visit (id serial, note text)")
    assert not apply(admin_here, METADATA, here.names).left
    granted = "SELECT has_column_privilege(:role, 'clinic.visit', 'id', 'SELECT')"
    assert admin_here.scalar(text(granted), {"role": here.names.ro})
    owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'clinic.visit'::regclass"
    assert admin_here.scalar(text(owner)) == here.names.owner


def test_bind_row_is_repaired_to_what_the_migration_made():
    from vaultdb.roles.functions import BIND_ROW_SQL

    revision = (own_tree().folder / "versions" / "0001_keys_and_names.py").read_text()
    body = BIND_ROW_SQL.partition("$$")[2].partition("$$")[0]
    assert body in revision


def test_the_guard_of_key_states_is_repaired_to_what_the_migration_made():
    from vaultdb.roles.functions import KEEP_RESTRICTIONS_SQL

    revision = (own_tree().folder / "versions" / "0002_rotation.py").read_text()
    for statement in KEEP_RESTRICTIONS_SQL:
        assert statement.replace("CREATE OR REPLACE", "CREATE") in revision
