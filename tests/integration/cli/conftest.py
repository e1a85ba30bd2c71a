"""The command line on real servers: a settings file for all roles, and a way to run it."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from vaultdb.cli import main

URLS = {"officer": "officer_url", "rotator": "rotator_url", "migrator": "migrate_url"}
VAULT_ROLES = ("officer", "rotator", "reencryptor")


@dataclass(frozen=True)
class Ran:
    """What a run of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def failed_with(self, text: str) -> bool:
        """Whether it failed in one clear line."""
        lines = self.err.splitlines()
        assert "Traceback" not in self.out + self.err
        return (
            self.code == 1
            and len(lines) == 1
            and lines[0].startswith("error: ")
            and text in lines[0]
        )


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``vaultdb`` in this process, as its console script does."""

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["vaultdb", *arguments])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code or 0
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


def write_settings(path: Path, database: Database, vault: OpenBao) -> None:
    """Write the settings of every role."""
    lines = [f'realm = "{database.realm}"', *_table("database", {"url": database.url})]
    lines += _table("vault", vault.values("app"))
    lines += _table("audit", {"principal": "tests"})
    for role, url in URLS.items():
        lines += _table(f"role.{role}.database", {"url": getattr(database, url)})
    for role in VAULT_ROLES:
        lines += _table(f"role.{role}.vault", vault.values(role))
    path.write_text("\n".join(lines) + "\n")


def _table(name: str, values: dict[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    for key, value in values.items():
        yield f"{key} = {json.dumps(value)}"


@pytest.fixture
def settings_file(
    database: Database, openbao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A settings file that the command line finds by itself."""
    path = tmp_path / "vaultdb.toml"
    write_settings(path, database, openbao)
    monkeypatch.chdir(tmp_path)
    return path
