"""Every revision leaves a row that the migrator can neither read nor change."""

from __future__ import annotations

import re

import psycopg
import pytest
from sqlalchemy import create_engine

from tests.fixtures.postgres import Database
from tests.integration.alembic.tree import Project
from tests.integration.cli.conftest import Run
from vaultdb.db.role_names import RoleNames
from vaultdb.roles.apply import apply
from vaultdb.roles.verify import verify

ROWS = "SELECT login::text, action, object, detail FROM vaultdb_audit.operation ORDER BY id"


def admin_engine(database: Database):
    return create_engine(database.admin_url.replace("postgresql://", "postgresql+psycopg://", 1))


@pytest.fixture
def audited(project: Project) -> Project:
    engine = admin_engine(project.database)
    with engine.connect() as connection:
        apply(connection, None, RoleNames())
    engine.dispose()
    with project.database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM vaultdb_audit.operation")
    project.table()
    return project


def test_each_revision_is_recorded_with_login_and_facts(run: Run, audited: Project) -> None:
    audited.revise(
        "two", 'op.execute("GRANT SELECT (id) ON patient TO vaultdb_ro")', "op.execute('SELECT 1')"
    )
    up = run("migrate", "up")
    assert (up.code, up.err) == (0, "")
    assert "not recorded" not in up.out
    assert run("migrate", "down", "-1", "--yes").code == 0
    rows = audited.query(ROWS)
    assert [row[:3] for row in rows] == [
        ("vaultdb_migrator", "migrate up", "app one"),
        ("vaultdb_migrator", "migrate up", "app two"),
        ("vaultdb_migrator", "migrate down", "app two"),
    ]
    details = [row[3] for row in rows]
    assert [detail["revisions"] for detail in details] == [["one"], ["two"], ["two"]]
    assert {detail["owner"] for detail in details} == {"vaultdb_owner"}
    hashes = [detail["facts_sha256"] for detail in details]
    assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in hashes)
    assert hashes[0] != hashes[1]  # a privilege came
    assert hashes[1] == hashes[2]  # and stayed


def test_a_revision_that_fails_leaves_no_row(run: Run, audited: Project) -> None:
    audited.revise("two", 'op.execute("SELECT 1 FROM nothing")')
    assert run("migrate", "up").code == 1
    assert [row[2] for row in audited.query(ROWS)] == ["app one"]


def test_a_plan_leaves_no_row(run: Run, audited: Project) -> None:
    assert run("migrate", "plan").code == 2
    assert audited.query(ROWS) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM vaultdb_audit.operation",
        "UPDATE vaultdb_audit.operation SET action = 'x'",
        "DELETE FROM vaultdb_audit.operation",
        "TRUNCATE vaultdb_audit.operation",
        "DROP TABLE vaultdb_audit.operation",
        "INSERT INTO vaultdb_audit.operation (login, action) VALUES ('another', 'x')",
    ],
)
def test_the_migrator_cannot_change_the_record(run: Run, audited: Project, statement: str) -> None:
    run("migrate", "up")
    with (
        audited.database.connect("vaultdb_migrator") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_migrating_causes_no_drift_of_the_roles(run: Run, audited: Project) -> None:
    assert run("migrate", "up").code == 0
    engine = admin_engine(audited.database)
    with engine.connect() as connection:
        drift = verify(connection, None, RoleNames())
    engine.dispose()
    assert [each for each in drift.drifts if "vaultdb_migrations" in str(each)] == []
