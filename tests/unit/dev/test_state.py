"""Where a dev stack lies and what it leaves there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vaultdb.dev.files import write_atomically
from vaultdb.dev.stack import DevStack
from vaultdb.dev.state import StateFolder, default_folder
from vaultdb.errors import DevStackError


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


@pytest.mark.parametrize("name", [".gitignore", "vaultdb.toml", "secrets"])
def test_a_folder_with_files_of_the_users_is_not_taken(tmp_path: Path, name: str):
    (tmp_path / name).mkdir()
    stack = DevStack(tmp_path)
    with pytest.raises(DevStackError, match=f"has a {re.escape(name)} of its own: choose another"):
        stack.up()
    stack.reset()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_without_a_stack_is_left_alone_by_down_and_reset(tmp_path: Path):
    file = tmp_path / "vaultdb.toml"
    file.touch()
    stack = DevStack(tmp_path)
    assert not stack.down()
    stack.reset()
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_no_stack(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    assert DevStack(file).status() == []


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
