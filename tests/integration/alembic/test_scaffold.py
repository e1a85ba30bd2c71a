"""From nothing to a clean check: `migrate init`, `new`, `up`, `check`."""

from __future__ import annotations

import shutil

from tests.integration.alembic.tree import Project
from tests.integration.cli.conftest import Run


def test_from_nothing_to_a_clean_check(run: Run, project: Project) -> None:
    with (project.folder / f"{project.module}.py").open("a") as models:
        models.write("\n\nimport vaultdb\n\nvaultdb.access(Patient)\n")
    shutil.rmtree(project.tree)
    model = f"{project.module}:Base"
    init = run("migrate", "init", "migrations", "--model", model)
    assert (init.code, init.err) == (0, "")
    env = (project.tree / "env.py").read_text()
    assert f"from {project.module} import Base" in env
    assert "vaultdb.alembic.run(context, Base.metadata)" in env
    assert run("migrate", "init", "migrations", "--model", model).failed_with("exists already")

    new = run("migrate", "new", "patients")
    assert new.out.startswith("wrote "), new.err
    (revision,) = project.versions.glob("*_patients.py")
    text = revision.read_text()
    assert "op.create_table('patient'" in text
    compile(text, str(revision), "exec")
    assert run("migrate", "new", "more").failed_with("revisions that are not applied")
    assert run("migrate", "check").failed_with("revisions that are not applied")
    assert run("migrate", "up").code == 0
    again = run("migrate", "new", "more")
    assert "nothing written" in again.out
    assert len(list(project.versions.glob("*.py"))) == 1
    check = run("migrate", "check")
    assert (check.code, check.err) == (0, ""), check.out
    assert run("migrate", "new", "by hand", "--empty").out.startswith("wrote ")
    assert run("migrate", "up").code == 0
    assert project.alembic("check").returncode == 0
    assert run("migrate", "down", "base", "--yes").code == 0
    assert not project.has("patient")


def test_a_missing_model_is_named_before_anything_is_written(run: Run, project: Project) -> None:
    shutil.rmtree(project.tree)
    assert run("migrate", "init", "migrations").failed_with("say where your models are")
    assert run("migrate", "init", "migrations", "-m", "nothing:Base").failed_with("No module named")
    assert not project.tree.exists()


def test_check_shows_what_is_in_no_revision(run: Run, project: Project) -> None:
    project.revise("one", 'op.execute("SELECT 1")')
    run("migrate", "up", "--tree", "vaultdb")
    run("migrate", "up", "--to", "one")
    check = run("migrate", "check", "--json")
    assert check.code == 1
    assert any("op.create_table('patient'" in line for line in check.json["missing"])
    assert "run: vaultdb migrate new MESSAGE" in run("migrate", "check").out
