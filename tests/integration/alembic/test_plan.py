"""`migrate plan` shows DDL, locks and privileges, and leaves the database as it was."""

from __future__ import annotations

from tests.integration.alembic.tree import Project
from tests.integration.cli.conftest import Run


def test_a_plan_shows_everything_and_changes_nothing(run: Run, project: Project) -> None:
    project.table()
    run("migrate", "up")
    project.revise(
        "two",
        """
        op.add_column("patient", sa.Column("note", sa.Text))
        op.execute("GRANT SELECT (note) ON patient TO vaultdb_ro")
        op.execute("CREATE TABLE fresh ()")
        """,
    )
    plan = run("migrate", "plan")
    assert (plan.code, plan.err) == (2, "")
    lines = plan.out.splitlines()
    assert lines[0] == "app two do two"
    assert "  ALTER TABLE patient ADD COLUMN note TEXT" in lines
    locked = "  lock AccessExclusiveLock on public.patient: keeps out reads and writes"
    assert locked in lines
    assert any(line.startswith("  lock ") and "the table is new" in line for line in lines)
    granted = [line for line in lines if line.startswith("+ grant column public.patient.note")]
    assert granted == ["+ grant column public.patient.note vaultdb_ro SELECT"]
    assert lines[-1] == "rolled back; the database is as before"
    assert "alembic_version" not in plan.out
    assert project.version == ["one"]
    assert not project.has("fresh")
    assert run("migrate", "up").code == 0


def test_a_plan_of_an_empty_database_has_both_trees(run: Run, project: Project) -> None:
    run("migrate", "down", "base", "--tree", "vaultdb", "--yes")
    project.table()
    plan = run("migrate", "plan", "--json")
    assert plan.code == 2
    assert [each["revision"] for each in plan.json["revisions"]] == ["0001", "0002", "one"]
    assert "CREATE TABLE vaultdb.realm" in plan.json["revisions"][0]["statements"][0]
    assert not project.has("vaultdb.realm")
    assert not project.has("vaultdb_migrations.alembic_version")
    gained = {(fact["object"], fact["who"], fact["value"]) for fact in plan.json["gained"]}
    assert ("vaultdb.data_key", "vaultdb_rw", "SELECT") in gained


def test_nothing_pending_is_no_plan(run: Run, project: Project) -> None:
    project.table()
    run("migrate", "up")
    plan = run("migrate", "plan")
    assert (plan.code, plan.out) == (0, "nothing is pending\n")
    assert run("migrate", "plan", "--json").json["pending"] is False


def test_a_revision_that_commits_by_itself_is_not_tried(run: Run, project: Project) -> None:
    project.table()
    project.revise(
        "two",
        """
        with op.get_context().autocommit_block():
            op.create_index("by_id", "patient", ["id"], postgresql_concurrently=True)
        """,
    )
    plan = run("migrate", "plan")
    assert plan.code == 2
    assert "app two cannot be tried: it uses autocommit_block" in plan.out
    assert "vaultdb migrate sql --tree app --to PREVIOUS:two" in plan.out
    assert plan.out.splitlines()[0] == "app one do one"
    assert not project.has("patient")
    shown = run("migrate", "sql", "--tree", "app", "--to", "one:two")
    assert "CREATE INDEX CONCURRENTLY by_id" in shown.out
    assert "CREATE TABLE" not in shown.out


def test_a_plan_that_fails_says_where(run: Run, project: Project) -> None:
    project.table()
    project.revise("two", 'op.create_index("i", "patient", ["id"], postgresql_concurrently=True)')
    plan = run("migrate", "plan")
    assert plan.failed_with("revision two of tree app: CREATE INDEX CONCURRENTLY cannot run inside")
    assert "autocommit_block" in plan.err
    assert not project.has("patient")
