"""Two migrations, a reader in the way, and a migration that is killed."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.alembic.tree import Project
from tests.integration.cli.conftest import Run

SLOW = 'op.execute("CREATE TABLE slow ()")\nop.execute("SELECT pg_sleep(60)")'


@contextmanager
def reading(project: Project, seconds: float = 0, user: str = "") -> Iterator[int]:
    """Hold a lock on the table as a long report does; for `seconds`, or until the end."""
    with project.database.connect(*[user] if user else []) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM patient")
        timer = threading.Timer(seconds or 60, lambda: connection.execute("COMMIT"))
        timer.start()
        try:
            yield connection.info.backend_pid
        finally:
            timer.cancel()
            timer.join()
            connection.execute("ROLLBACK") if not seconds else None


def wait_for_sleeper(project: Project) -> int:
    """Return the pid of the migration that sleeps in its revision."""
    query = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
    )
    for _ in range(200):
        if rows := project.query(query):
            return int(rows[0][0])
        time.sleep(0.05)
    raise AssertionError("the migration did not begin")


@pytest.fixture
def altering(run: Run, project: Project) -> Project:
    """A project whose pending revision needs the table for itself."""
    project.table()
    assert run("migrate", "up").code == 0
    with project.database.connect() as connection:
        connection.execute("GRANT SELECT ON patient TO vaultdb_rw")
    project.revise("two", 'op.add_column("patient", sa.Column("note", sa.Text))')
    return project


def test_a_reader_that_ends_is_outlasted(run: Run, altering: Project) -> None:
    with reading(altering, seconds=0.8):
        up = run("migrate", "up", "--lock-timeout", "0.2", "--attempts", "9")
    assert up.code == 0, up.err
    assert "note: a lock is in the way: attempt 2 of 9" in up.out
    assert altering.version == ["two"]


def test_a_reader_that_stays_is_named(run: Run, altering: Project) -> None:
    with reading(altering, user="vaultdb_app") as pid:
        up = run("migrate", "up", "--lock-timeout", "0.5", "--attempts", "2")
    assert up.failed_with("revision two of tree app: a lock was in the way, 2 times for 0.5 s each")
    assert re.search(rf"held by pid {pid} \(vaultdb_app, blocking for at least \d+ s\)", up.err)
    assert "SELECT *" not in up.err
    assert altering.version == ["one"]


def test_ages_are_shown_where_the_login_may_see_them(
    run: Run, altering: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    altering.write_settings(altering.database.admin_url)
    arguments = ("--lock-timeout", "0.5", "--attempts", "2", "--allow-superuser")
    with reading(altering, user="vaultdb_app"):
        up = run("migrate", "up", *arguments, "--json")
    assert up.code == 1
    assert re.search(r"idle in transaction, transaction open for \d+ s, last query began", up.err)


def test_two_migrators_do_not_meet(run: Run, project: Project) -> None:
    project.revise("one", SLOW)
    first = project.vaultdb("migrate", "up")
    try:
        pid = wait_for_sleeper(project)
        second = run("migrate", "up")
        assert second.failed_with("another migration of vaultdb is running on this database")
        assert f"(pid {pid}, vaultdb_migrator)" in second.err
        waited = run("migrate", "up", "--wait", "0.5")
        assert waited.failed_with("still, after 0.5 s")
        assert run("migrate", "plan").failed_with("another migration")
        assert run("migrate", "status").code == 1
    finally:
        first.kill()
        first.communicate(timeout=30)


def test_who_waits_goes_on_when_the_other_is_killed(run: Run, project: Project) -> None:
    project.revise("one", SLOW)
    first = project.vaultdb("migrate", "up")
    pid = wait_for_sleeper(project)
    project.revisions.clear()
    (project.versions / "one.py").unlink()
    project.table()
    ended = threading.Timer(1, lambda: project.query(f"SELECT pg_terminate_backend({pid})"))
    ended.start()
    up = run("migrate", "up", "--wait", "30")
    out, err = first.communicate(timeout=30)
    ended.join()
    assert (up.code, project.version) == (0, ["one"])
    assert first.returncode == 1, out
    assert "the connection to PostgreSQL was lost; what was not finished is rolled back" in err
    assert "Traceback" not in err
    assert not project.has("slow")


def test_a_killed_process_leaves_nothing_half_done(run: Run, project: Project) -> None:
    project.table()
    project.revise("two", SLOW)
    process = project.vaultdb("migrate", "up")
    pid = wait_for_sleeper(project)
    process.kill()
    process.communicate(timeout=30)
    project.query(f"SELECT pg_terminate_backend({pid})")  # it sleeps on, and nobody waits for it
    assert project.version == ["one"]
    assert not project.has("slow")
    project.revisions.pop()
    project.revise("two", 'op.execute("CREATE TABLE second ()")')
    assert run("migrate", "up", "--wait", "10").code == 0
    assert project.version == ["two"]


def test_no_lock_is_left_behind(run: Run, project: Project) -> None:
    project.table()
    assert run("migrate", "up").code == 0
    assert run("migrate", "plan").code == 0
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
    mine = "(SELECT oid FROM pg_database WHERE datname = current_database())"
    assert project.query(f"{locks} {mine}") == [(0,)]
