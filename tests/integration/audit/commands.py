"""`vaultdb audit …` with settings of its own, on the test's database and the shared OpenBao."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from vaultdb.cli import main
from vaultdb.jobs.audit.sinks.notes import split_notes


@dataclass
class Ran:
    code: int
    out: str
    err: str


@dataclass
class Commands:
    """The command line with settings of its own: here, or in a process of its own."""

    folder: Path
    run_here: Callable[..., Ran]

    @property
    def exported(self) -> list[str]:
        path = self.folder / "exported"
        return split_notes(path.read_text()) if path.exists() else []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        config = str(self.folder / "vaultdb.toml")
        return subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from vaultdb.cli import main; main()",
                "-c",
                config,
                "audit",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> Ran:
        return self.run_here("-c", str(self.folder / "vaultdb.toml"), "audit", *arguments)


def write_settings(folder: Path, database: Database, openbao: OpenBao) -> None:
    """Write the settings of the sequencer, the auditor and the administrator."""
    lines = [f'realm = "{database.realm}"', "[audit]", 'mode = "strict"', 'principal = "test"']
    lines += [f"checkpoints = {json.dumps([(folder / 'exported').as_uri()])}"]
    urls = {"sequencer": "vaultdb_audit_sequencer", "auditor": "vaultdb_audit_reader"}
    for role, login in urls.items():
        lines += [f"[role.{role}.database]", f'url = "{database.url_for(login)}"']
        lines += [f"[role.{role}.vault]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in openbao.values(role).items()]
    lines += ["[role.admin.database]", f'url = "{database.admin_url}"']
    (folder / "vaultdb.toml").write_text("\n".join(lines) + "\n")


def new_commands(
    folder: Path,
    database: Database,
    openbao: OpenBao,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Commands:
    """Write settings into a folder, and return the command line that uses them."""
    write_settings(folder, database, openbao)

    def run_here(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["vaultdb", *arguments])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code or 0
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Ran(code, captured.out, captured.err)

    return Commands(folder, run_here)
