"""A folder, an `env.py` or a revision that cannot work is one line that says what to do."""

from __future__ import annotations

import pytest

from tests.integration.alembic.tree import Project
from tests.integration.cli.conftest import Run

HUNTER = "raise ValueError('hunter2')\n"


def test_a_folder_that_is_not_there(run: Run, project: Project) -> None:
    for command in (("up",), ("plan",), ("status",), ("sql",), ("check",), ("new", "x")):
        ran = run("migrate", *command, "--migrations", "nowhere")
        assert ran.failed_with("there is no folder nowhere"), command
        assert "vaultdb migrate init nowhere" in ran.err


def test_a_folder_without_env(run: Run, project: Project) -> None:
    (project.tree / "env.py").unlink()
    assert run("migrate", "up").failed_with("has no env.py, so it holds no migrations")


def test_no_tree_at_all(run: Run, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (project.folder / "vaultdb.toml").read_text()
    (project.folder / "vaultdb.toml").write_text(text.replace('migrations = "migrations"\n', ""))
    assert run("migrate", "new", "x").failed_with("there are no migrations of yours")
    assert run("migrate", "up", "--tree", "app").failed_with("there are no migrations of yours")
    assert run("migrate", "up").code == 0


def test_several_heads(run: Run, project: Project) -> None:
    project.table()
    project.revise("two", 'op.execute("CREATE TABLE second ()")', down="one")
    project.revise("three", 'op.execute("CREATE TABLE third ()")', down="one")
    up = run("migrate", "up")
    assert up.failed_with("tree app has several heads")
    assert "vaultdb migrate new --merge" in up.err
    merged = run("migrate", "new", "join", "--merge", "two", "--merge", "three")
    assert merged.out.startswith("wrote ")
    assert run("migrate", "up").code == 0


def test_an_unknown_revision(run: Run, project: Project) -> None:
    project.table()
    for command in (("up", "--to", "nine"), ("down", "nine", "--yes"), ("sql", "--to", "nine")):
        ran = run("migrate", *command)
        assert ran.code == 1
        assert "can't locate revision identified by 'nine'; known are base, one" in ran.err
    assert project.version == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HUNTER, "env.py, line 1: raised ValueError"),
        ("def (\n", "env.py, line 1: python cannot read it: "),
        ("import no_such_module\n", "raised ModuleNotFoundError for no_such_module"),
        ("from alembic import context\n", "does not call vaultdb.alembic.run(context, metadata)"),
    ],
)
def test_an_env_that_cannot_be_run(run: Run, project: Project, text: str, message: str) -> None:
    project.table()
    (project.tree / "env.py").write_text(text)
    up = run("migrate", "up")
    assert up.failed_with(message)
    assert "hunter2" not in up.err
    assert not project.has("patient")


@pytest.mark.filterwarnings("ignore:Revision nine referenced")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HUNTER, "two.py, line 1: raised ValueError"),
        ("def (\n", "two.py, line 1: python cannot read it: "),
        ("revision = 'two'\ndown_revision = 'nine'\n", "a revision follows nine, which is not"),
    ],
)
def test_a_revision_that_cannot_be_read(
    run: Run, project: Project, text: str, message: str
) -> None:
    project.table()
    (project.versions / "two.py").write_text(text)
    for command in ("up", "status", "plan", "sql"):
        ran = run("migrate", command)
        assert ran.failed_with(message), command
        assert "hunter2" not in ran.err
    assert not project.has("patient")


def test_a_revision_that_raises(run: Run, project: Project) -> None:
    project.revise("one", HUNTER)
    up = run("migrate", "up")
    assert up.failed_with("revision one of tree app: ")
    assert "raised ValueError" in up.err
    assert "hunter2" not in up.err


def test_a_name_that_was_lost_is_refused_with_the_remedy(run: Run, project: Project) -> None:
    project.table()
    run("migrate", "up")
    project.write_models("social")
    from importlib import invalidate_caches
    from sys import modules

    modules.pop(project.module)
    invalidate_caches()
    project.revise("two", 'op.alter_column("patient", "ssn", new_column_name="social")')
    up = run("migrate", "up")
    assert up.failed_with('declare logical_name="patient.ssn"')


@pytest.mark.parametrize("option", ["--wait=-1", "--lock-timeout=-1", "--attempts=0"])
def test_a_time_that_is_none(run: Run, project: Project, option: str) -> None:
    assert run("migrate", "up", option).failed_with("are seconds from 0 up")


def test_a_pooler_in_between_is_refused(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_POOLER", "pgbouncer")
    assert run("migrate", "up").failed_with("connect to PostgreSQL directly")
