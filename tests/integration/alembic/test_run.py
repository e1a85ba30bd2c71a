"""One `env.py` of three lines works under `alembic` and under `vaultdb migrate`."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from tests.fixtures.postgres import Database, Postgres
from tests.integration.alembic.tree import Project
from tests.integration.cli.conftest import Run
from vaultdb.demo.clients import _program


def test_up_applies_both_trees_and_status_agrees(run: Run, project: Project) -> None:
    project.table()
    assert run("migrate", "status").code == 1
    up = run("migrate", "up")
    assert (up.code, up.err) == (0, "")
    assert "applied one do one in app (" in up.out
    assert "recorded 1 new logical name, 0 moved" in up.out
    assert project.version == ["one"]
    status = run("migrate", "status", "--json")
    assert (status.code, status.json["pending"]) == (0, [])
    assert [tree["current"] for tree in status.json["trees"]] == [["0002"], ["one"]]
    assert "the schema was up to date" in run("migrate", "up").out


def test_plain_alembic_does_the_same(run: Run, project: Project) -> None:
    project.table()
    with project.database.connect() as connection:
        connection.execute("DROP SCHEMA IF EXISTS vaultdb_audit CASCADE")
    ran = project.alembic("upgrade", "head")
    assert ran.returncode == 0, ran.stderr
    assert project.version == ["one"]
    assert "vaultdb: not recorded in the audit schema" in ran.stderr
    assert "one (head)" in project.alembic("current").stdout
    check = project.alembic("check")
    assert check.returncode == 0, check.stdout + check.stderr
    assert run("migrate", "status").code == 0
    assert project.query("SELECT name FROM vaultdb.logical_name") == [("patient.ssn",)]
    down = project.alembic("downgrade", "base")
    assert down.returncode == 0, down.stderr
    assert not project.has("patient")


def test_looking_with_plain_alembic_changes_nothing(project: Project) -> None:
    project.table()
    for command in ("current", "check"):
        project.alembic(command)
        assert not project.has("vaultdb_migrations.alembic_version")


def test_a_leased_login_leaves_nothing_of_its_own(
    run: Run, project: Project, postgres: Postgres
) -> None:
    """As Vault makes it: a login of a random name, member of the owner, for an hour."""
    login = f"v_vaultdb_migrator_{project.database.name}"
    with project.database.connect() as connection:
        connection.execute(f"CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE vaultdb_owner".encode())
    postgres.passwords[login] = "x"
    try:
        project.write_settings(project.database.url_for(login))
        project.table()
        assert run("migrate", "up").code == 0
        owners = project.query(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname = 'patient'"
            " OR relnamespace = 'vaultdb_migrations'::regnamespace"
            " UNION SELECT nspowner::regrole::text FROM pg_namespace"
            " WHERE nspname = 'vaultdb_migrations'"
        )
        assert owners == [("vaultdb_owner",)]
        with project.database.connect() as connection:
            connection.execute(f"DROP ROLE {login}".encode())  # refused if it owned anything
    finally:
        del postgres.passwords[login]
        with project.database.connect() as connection:
            connection.execute(f"DROP ROLE IF EXISTS {login}".encode())


@pytest.mark.parametrize("user", ["vaultdb_app", "vaultdb_key_officer", "vaultdb_key_rotator"])
def test_nobody_else_sees_the_version_table(run: Run, project: Project, user: str) -> None:
    project.table()
    run("migrate", "up")
    refused = project.query(
        f"SELECT has_schema_privilege('{user}', 'vaultdb_migrations', 'USAGE'),"
        f" has_table_privilege('{user}', 'vaultdb_migrations.alembic_version', 'SELECT')"
    )
    assert refused == [(False, False)]


def test_users_hooks_and_options_are_kept(run: Run, project: Project) -> None:
    project.write_env(
        ", version_table_schema='public', version_table='my_version',"
        " on_version_apply=lambda **given:"
        " __import__('pathlib').Path('told').write_text(given['step'].up_revision_id)"
    )
    project.table()
    assert run("migrate", "up").code == 0
    assert (project.folder / "told").read_text() == "one"
    assert project.query("SELECT version_num FROM my_version") == [("one",)]
    assert run("migrate", "status").code == 0


def test_a_failing_revision_leaves_those_before_it(run: Run, project: Project) -> None:
    project.table()
    project.revise("two", 'op.execute("CREATE TABLE half ()")\nop.execute("SELECT 1 FROM nothing")')
    project.revise("three", 'op.execute("CREATE TABLE third ()")')
    up = run("migrate", "up")
    assert up.failed_with('revision two of tree app: PostgreSQL says relation "nothing" does not')
    assert "; one before it stays" in up.err
    assert project.version == ["one"]
    assert not project.has("half")
    (project.versions / "two.py").write_text(
        (project.versions / "two.py").read_text().replace("SELECT 1 FROM nothing", "SELECT 1")
    )
    assert run("migrate", "up").code == 0
    assert project.version == ["three"]


def test_a_value_in_an_error_is_not_shown(run: Run, project: Project) -> None:
    project.table()
    project.revise("two", "op.execute(\"SELECT '999-17-5017'::int\")")
    up = run("migrate", "up")
    assert up.failed_with("revision two of tree app: PostgreSQL refused a value")
    assert "999" not in up.err


def test_a_schema_that_nobody_made_is_named_with_the_remedy(run: Run, project: Project) -> None:
    project.revise("one", 'op.execute("CREATE TABLE ward.bed (id int)")')
    up = run("migrate", "up")
    assert up.failed_with(
        'schema "ward" does not exist: make it before its tables, with op.execute'
    )


def test_an_index_is_built_concurrently(run: Run, project: Project) -> None:
    project.table()
    project.revise(
        "two",
        """
        with op.get_context().autocommit_block():
            op.create_index("by_id", "patient", ["id"], postgresql_concurrently=True)
        """,
    )
    project.revise("three", 'op.execute("CREATE TABLE third ()")')
    assert run("migrate", "up").code == 0
    assert project.version == ["three"]
    assert project.query("SELECT indisvalid FROM pg_index WHERE indexrelid='by_id'::regclass") == [
        (True,)
    ]


def test_down_goes_back_one_revision_or_all(run: Run, project: Project) -> None:
    project.table()
    project.revise("two", 'op.execute("CREATE TABLE second ()")', 'op.drop_table("second")')
    run("migrate", "up")
    back = run("migrate", "down", "-1", "--yes")
    assert "app: from revision two back to -1" in back.out
    assert "reverted two do two in app" in back.out
    assert project.version == ["one"]
    assert run("migrate", "down", "base", "--yes", "--json").json["steps"][0]["revision"] == "one"
    assert project.version == []
    assert run("migrate", "down", "base", "--yes").out.endswith("there was nothing to revert\n")
    assert "vaultdb: revision 0002" in run("migrate", "status").out


def test_down_asks_first(run: Run, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    project.table()
    run("migrate", "up")
    assert run("migrate", "down", "base").code == 1  # asked, and nobody answers
    assert project.version == ["one"]


def test_up_stops_where_it_is_told(run: Run, project: Project) -> None:
    project.table()
    project.revise("two", 'op.execute("CREATE TABLE second ()")')
    assert run("migrate", "up", "--to", "one").code == 0
    assert project.version == ["one"]
    assert run("migrate", "up", "--to", "+1").code == 0
    assert project.version == ["two"]


def test_one_tree_alone(run: Run, project: Project) -> None:
    project.table()
    assert run("migrate", "up", "--tree", "vaultdb").code == 0
    assert project.version == []
    up = run("migrate", "up", "--tree", "app", "--json")
    assert [step["tree"] for step in up.json["steps"]] == ["app"]
    assert run("migrate", "up", "--tree", "mine").failed_with("choose vaultdb or app")


def test_the_sql_of_both_trees_makes_the_same_schema(
    run: Run, project: Project, postgres: Postgres
) -> None:
    project.table()
    project.revise(
        "two", "with op.get_context().autocommit_block():\n    op.execute('VACUUM patient')"
    )
    made = run("migrate", "sql")
    assert (made.code, made.err) == (0, "")
    run("migrate", "up")
    empty = postgres.create_database(template="template0")
    try:
        sql = project.folder / "both.sql"
        sql.write_text(made.out)
        psql = _program("psql")
        subprocess.run(
            [psql, "-Xq", "-v", "ON_ERROR_STOP=1", "-f", sql, empty.migrate_url],
            check=True,
            capture_output=True,
        )
        other = Project(project.folder, empty, project.module)
        assert _tables(other) == _tables(project)
        assert other.version == project.version == ["two"]
    finally:
        postgres.drop_database(empty.name)


def _tables(project: Project) -> list[tuple[object, ...]]:
    return project.query(
        "SELECT table_schema, table_name, column_name, data_type, c.relowner::regrole::text"
        " FROM information_schema.columns JOIN pg_class c ON c.oid ="
        " format('%I.%I', table_schema, table_name)::regclass"
        " WHERE table_schema IN ('public', 'vaultdb', 'vaultdb_migrations') ORDER BY 1, 2, 3"
    )


def test_a_role_prefix_of_ones_own_is_the_owner(run: Run, project: Project) -> None:
    prefix = f"{project.database.name}_"
    owner, login = f"{prefix}owner", "vaultdb_migrator"
    with project.database.connect() as connection:
        connection.execute(f'CREATE ROLE "{owner}"; GRANT "{owner}" TO {login}'.encode())
        connection.execute(
            f'ALTER SCHEMA vaultdb OWNER TO "{owner}";'
            f'REASSIGN OWNED BY vaultdb_owner TO "{owner}";'
            f'GRANT ALL ON SCHEMA public TO "{owner}";'
            f'GRANT CREATE, CONNECT ON DATABASE {project.database.name} TO "{owner}"'.encode()
        )
    try:
        text = (project.folder / "vaultdb.toml").read_text()
        (project.folder / "vaultdb.toml").write_text(f'{text}role_prefix = "{prefix}"\n')
        project.table()
        up = run("migrate", "up")
        assert up.code == 0, up.err
        assert f"owner {owner}" in up.out
        assert project.query(
            "SELECT tableowner::text FROM pg_tables WHERE tablename='patient'"
        ) == [(owner,)]
    finally:
        with project.database.connect() as connection:
            connection.execute(f'DROP OWNED BY "{owner}" CASCADE; DROP ROLE "{owner}"'.encode())


def test_a_superuser_migrates_only_when_told(
    run: Run, project: Project, database: Database
) -> None:
    project.write_settings(database.admin_url)
    project.table()
    assert run("migrate", "up").failed_with("is a superuser")
    assert not project.has("patient")
    up = run("migrate", "up", "--allow-superuser")
    assert up.code == 0
    assert "is a superuser: no privilege was checked" in up.out
    owners = project.query("SELECT tableowner::text FROM pg_tables WHERE tablename='patient'")
    assert owners == [("vaultdb_owner",)]


def test_the_applications_login_is_refused_by_plain_alembic_too(
    project: Project, database: Database
) -> None:
    project.write_settings(database.url)
    project.table()
    ran = project.alembic("upgrade", "head")
    assert ran.returncode != 0
    assert "vaultdb_app is a member of vaultdb_rw, so it is the application's" in ran.stderr
    assert not project.has("patient")


def test_models_that_are_ahead_of_the_migrations_are_named(run: Run, project: Project) -> None:
    project.revise("one", 'op.execute("SELECT 1")')
    up = run("migrate", "up")
    assert (up.code, up.err) == (0, "")
    assert "note: no revision makes column patient.ssn; run: vaultdb migrate new" in up.out


def test_models_named_in_the_settings_are_those_of_the_users_tree_only(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.table()
    monkeypatch.setenv("VAULTDB_MODELS", f"{project.module}:Base")

    up = run("migrate", "up")

    assert up.code == 0, up.err
    assert "no revision makes" not in up.out


def test_other_commands_of_plain_alembic_work(project: Project) -> None:
    project.table()
    stamped = project.alembic("stamp", "head")
    assert stamped.returncode == 0, stamped.stderr
    assert project.version == ["one"]
    assert not project.has("patient")
    made = project.alembic("revision", "--autogenerate", "-m", "rest")
    assert made.returncode == 0, made.stderr
    (revision,) = project.versions.glob("*_rest.py")
    assert "op.create_table('patient'" in revision.read_text()
    sql = project.alembic("upgrade", "head", "--sql")
    assert sql.returncode == 0, sql.stderr
    assert "CREATE SCHEMA IF NOT EXISTS vaultdb_migrations" in sql.stdout
