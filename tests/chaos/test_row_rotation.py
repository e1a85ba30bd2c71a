"""A rotation to the last row that is killed again and again ends with one new version of each key."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import insert

from tests.integration.rotation.conftest import Clinic, Run, clinic, run
from tests.integration.rotation.models import Patient
from tests.integration.rotation.test_rotate_rows import assert_everything_is_read, states
from tests.integration.rotation.test_usage import counted, rows
from tests.killed_rotation import COMMAND

__all__ = ["clinic", "run"]

ROWS = 60_000
KILLS = 10
MODELS = "tests.integration.rotation.models:Base"


@pytest.mark.chaos
@pytest.mark.slow
def test_a_rotation_of_rows_killed_at_ten_random_points_converges(run: Run, clinic: Clinic) -> None:
    with clinic.session("acme") as session:
        session.execute(insert(Patient), [{"name": f"n{n}", "email": None} for n in range(ROWS)])
        session.commit()
    arguments = ("--config", str(clinic.settings_file), "rotate", "--dek", "--yes", "--json")
    left = []
    for _ in range(KILLS):
        process = subprocess.Popen(
            (*COMMAND, *arguments, "-m", MODELS),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        # Most of the time it starts up, and works in the last tenths of a second.
        wait_for_work(clinic, process, random.uniform(0.02, 0.2))  # pytest-randomly prints the seed
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        left.append(rows(counted(run)["patient.name"]).get(("acme", 1), 0))
    assert left == sorted(left, reverse=True)
    assert 0 < left[0] <= ROWS + 7
    ran = run("rotate", "--dek", "--yes", "--json")
    assert ran.code == 0, ran.out + ran.err
    found = rows(counted(run)["patient.name"])
    assert sum(found.values()) == ROWS + 10
    assert len(found) == 2
    assert_everything_is_read(clinic)
    for versions in states(run).values():
        assert versions.count("active") == 1
        assert len(versions) == 2


def wait_for_work(clinic: Clinic, process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until the process has a chunk, or has made its keys, and then for a while."""
    deadline = time.monotonic() + 60
    before = progress(clinic)
    while process.poll() is None and progress(clinic) == before:
        assert time.monotonic() < deadline, "the rotation makes no progress"
        time.sleep(0.01)
    time.sleep(seconds)


def progress(clinic: Clinic) -> list[tuple[object, ...]]:
    keys = "(SELECT count(*) FROM vaultdb.data_key)"
    chunks = "(SELECT sum(seen) FROM vaultdb.job_chunk), (SELECT count(*) FROM vaultdb.job_chunk)"
    return clinic.query(f"SELECT {keys}, {chunks}")
