"""The examples are programs that somebody will copy: run them as their readers would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database

EXAMPLES = Path(__file__).parents[3] / "examples"


def run(*arguments: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
        for name, table in tables.items()
    )


@pytest.fixture
def settings(database: Database, openbao: OpenBao, tmp_path: Path) -> Path:
    """A vaultdb.toml for the application, the migrator and the key officer."""
    file = tmp_path / "vaultdb.toml"
    file.write_text(
        f'realm = "{database.realm}"\n'
        + toml(
            {
                "database": {"url": database.url},
                "vault": openbao.values("app"),
                "role.migrator.database": {"url": database.migrate_url},
                "role.officer.database": {"url": database.officer_url},
                "role.officer.vault": openbao.values("officer"),
            }
        )
    )
    return file


def test_the_quickstart_runs_twice_in_a_row(settings: Path) -> None:
    create_keys = "from vaultdb.cli import main; main()"
    run("-c", create_keys, "keys", "create", cwd=EXAMPLES, VAULTDB_CONFIG=str(settings))

    for _ in range(2):
        printed = run("quickstart.py", cwd=EXAMPLES, VAULTDB_CONFIG=str(settings))

        first, second = printed.splitlines()
        assert first == "through vaultdb: Ada 999-12-3456 1990-01-02"
        assert re.fullmatch(r"in PostgreSQL: ( +f601[0-9a-f]{16}…){3}", second)


def test_the_clinic_passes_its_own_tests_on_sqlite_and_postgresql(database: Database) -> None:
    url = database.migrate_url.replace("postgresql://", "postgresql+psycopg://", 1)

    printed = run(
        *("-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"),
        cwd=EXAMPLES / "clinic",
        CLINIC_TEST_URL=url,
    )

    assert "12 passed" in printed
