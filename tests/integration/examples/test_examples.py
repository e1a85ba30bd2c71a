"""The examples are programs that somebody will copy: run them as their readers would."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
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


VAULTDB = ("-c", "from vaultdb.cli import main; main()")


def test_the_quickstart_runs_twice_in_a_row(settings: Path, tmp_path: Path) -> None:
    environment = {"VAULTDB_CONFIG": str(settings), "VAULTDB_MIGRATIONS": "migrations"}
    shutil.copy(EXAMPLES / "quickstart.py", tmp_path)
    commands = [
        ("migrate", "init", "migrations", "--model", "quickstart:Base"),
        ("migrate", "up"),
        ("migrate", "new", "patients"),
        ("migrate", "up"),
        ("keys", "create"),
    ]
    for command in commands:
        run(*VAULTDB, *command, cwd=tmp_path, **environment)

    for _ in range(2):
        printed = run("quickstart.py", cwd=tmp_path, **environment)

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


def test_the_clinics_migrations_are_what_its_models_declare(
    database: Database, settings: Path
) -> None:
    environment = {
        "VAULTDB_CONFIG": str(settings),
        "VAULTDB_ADMIN_URL": database.admin_url,
        "VAULTDB_MIGRATIONS": "migrations",
        "VAULTDB_MODELS": "clinic.models:Base",
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def vaultdb(*arguments: str) -> str:
        return run(*VAULTDB, *arguments, cwd=EXAMPLES / "clinic", **environment)

    assert "applied 0001 patients" in vaultdb("migrate", "up")
    assert "no rule is broken" in vaultdb("migrate", "check")
    drifts = json.loads(vaultdb("roles", "verify", "--json"))["drifts"]
    assert [drift for drift in drifts if "patient" in drift["problem"]] == []


def test_a_practice_of_the_clinic_cannot_ask_for_anothers_rows(
    database: Database, settings: Path
) -> None:
    environment = {"VAULTDB_CONFIG": str(settings), "VAULTDB_MIGRATIONS": "migrations"}
    clinic = EXAMPLES / "clinic"
    run(*VAULTDB, "migrate", "up", cwd=clinic, **environment, PYTHONDONTWRITEBYTECODE="1")
    with database.connect() as connection:  # a superuser passes row-level security
        connection.execute(
            "INSERT INTO patient (id, practice, name, ssn, born, ssn_index) SELECT"
            " gen_random_uuid(), practice, envelope, envelope, envelope, sha256((practice || n)::bytea)"
            " FROM unnest(ARRAY['north', 'south', 'south']) WITH ORDINALITY AS u (practice, n),"
            " LATERAL (SELECT decode('f601' || repeat('00', 80), 'hex') AS envelope) AS e"
        )

    with database.connect("vaultdb_app") as connection:
        seen = [_count(connection, practice) for practice in ("", "north", "south")]

    assert seen == [0, 1, 2]


def _count(connection: psycopg.Connection, practice: str) -> int:
    with connection.transaction():
        connection.execute("SELECT set_config('vaultdb.tenant', %s, true)", [practice])
        row = connection.execute("SELECT count(*) FROM patient").fetchone()
    assert row is not None
    return int(row[0])
