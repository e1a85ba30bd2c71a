"""Where a dev stack lies and what it leaves there."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaultdb.dev.files import write_atomically
from vaultdb.dev.state import StateFolder, default_folder


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VAULTDB_DEV_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)


def test_the_variable_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("VAULTDB_DEV_STATE", "here")
    assert default_folder() == tmp_path / "here"


def test_the_project_around_us_holds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "pyproject.toml").touch()
    inside = tmp_path / "src" / "deep"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert default_folder() == tmp_path / ".vaultdb"


def test_outside_a_project_it_is_the_users_state_folder(tmp_path: Path):
    assert default_folder() == tmp_path / "xdg" / "vaultdb"


def test_a_stack_keeps_itself_out_of_version_control(tmp_path: Path):
    folder = StateFolder(tmp_path / "state")
    folder.prepare()
    assert (folder.root / ".gitignore").read_text() == "*\n"


def test_a_secret_is_made_once(tmp_path: Path):
    folder = StateFolder(tmp_path / "state")
    folder.prepare()
    first = folder.secret("x")
    assert (folder.secret("x"), len(first)) == (first, 32)
    assert folder.secret_file("x").stat().st_mode & 0o777 == 0o600


def test_a_lock_taken_on_a_deleted_file_is_taken_again(tmp_path: Path):
    folder = StateFolder(tmp_path / "state")
    with folder.locked():
        (folder.root / "lock").unlink()
        with folder.locked():
            assert (folder.root / "lock").exists()


def test_a_written_file_has_its_mode_from_the_start(tmp_path: Path):
    path = tmp_path / "file"
    write_atomically(path, "old", mode=0o644)
    write_atomically(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]
