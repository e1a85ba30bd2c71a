"""The examples are programs that somebody will copy: run them as their readers would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fixtures.postgres import Database

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_clinic_passes_its_own_tests_on_sqlite_and_postgresql(database: Database) -> None:
    url = database.migrate_url.replace("postgresql://", "postgresql+psycopg://", 1)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"],
        cwd=EXAMPLES / "clinic",
        env=os.environ | {"CLINIC_TEST_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 passed" in done.stdout
