"""What is shipped is complete, and works without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]


def build(source: Path, target: Path, kind: str) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(target)],
        cwd=source,
        capture_output=True,
        check=True,
    )
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(CHECKOUT, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(CHECKOUT, tmp_path_factory.mktemp("sdist"), "sdist")


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_package_its_migrations_and_its_sql(wheel: Path):
    expected = {"vaultdb/py.typed", "vaultdb/_migrations/env.py"}
    expected |= {f"vaultdb/provision/sql/{name}.sql" for name in ("engine", "kill_sessions")}
    revisions = (CHECKOUT / "migrations" / "versions").glob("*.py")
    expected |= {f"vaultdb/_migrations/versions/{path.name}" for path in revisions}
    assert expected <= names(wheel)
    tops = {name.split("/")[0] for name in names(wheel)}
    assert tops == {"vaultdb", "vaultdb_sqlalchemy-0.1.0.dist-info"}


def test_the_sdist_holds_what_is_needed_to_build_and_test(sdist: Path):
    with tarfile.open(sdist) as archive:
        found = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {
        *("Makefile", "constraints.txt", "pyproject.toml", "LICENSE", "README.md"),
        *("migrations/env.py", "tests/conftest.py", "vaultdb/__init__.py"),
    } <= found
    assert not [name for name in found if name.startswith((".venv", ".git/", ".vaultdb"))]


def test_a_wheel_built_from_the_sdist_is_the_same(sdist: Path, wheel: Path, tmp_path: Path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    again = build(source, tmp_path / "wheel", "wheel")
    assert names(again) == names(wheel)


def test_an_installed_wheel_finds_its_own_migrations(wheel: Path, tmp_path: Path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = "from vaultdb.alembic.trees import own_tree; print(own_tree().folder)"
    shown = subprocess.run(
        [sys.executable, "-c", script],
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(shown.stdout.strip()) == tmp_path / "vaultdb" / "_migrations"


def test_a_checkout_finds_its_migrations():
    from vaultdb.alembic.trees import own_tree

    assert own_tree().folder == CHECKOUT / "migrations"


def test_every_pinned_package_has_hashes_and_no_address():
    pins = (CHECKOUT / "constraints.txt").read_text().replace("\\\n", " ").splitlines()
    assert len(pins) > 50
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []
    assert [pin for pin in pins if "://" in pin or pin.startswith(("-", "#"))] == []
