"""``vaultdb jobs``: look at a job, stop it, let it go on, and read what it left."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from tests.integration.rotation.conftest import Clinic, Run
from tests.integration.rotation.models import Base
from vaultdb.db.connect import new_engine
from vaultdb.jobs.reencrypt.target import reencrypt_spec
from vaultdb.jobs.work.job import Job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.store import JobStore
from vaultdb.settings import Settings


@pytest.fixture
def store(clinic: Clinic) -> Iterator[JobStore]:
    engine = new_engine(Settings.load(file=clinic.settings_file, role="rotator"))
    yield JobStore(engine)
    engine.dispose()


@pytest.fixture
def job(store: JobStore) -> Job:
    """A job that no worker has taken up."""
    table = Base.metadata.tables["patient"]
    spec = reencrypt_spec(table)
    return store.start("reencrypt", table.fullname, spec, split=lambda c: split_table(c, table))


def test_a_job_is_paused_resumed_and_cancelled_by_its_number(run: Run, job: Job) -> None:
    number = str(job.id)
    assert f"go on with: vaultdb jobs resume {number}" in run("jobs", "pause", number).out
    assert run("jobs", "list", "--json").json[0]["state"] == "paused"
    assert run("jobs", "resume", number).out == f"job {number} is running\n"
    assert run("jobs", "cancel", number, "--yes").out == f"job {number} is cancelled\n"
    assert run("jobs", "resume", number).failed_with("is cancelled, so it cannot be resumed")
    assert "--all lists those that are over" in run("jobs", "list").out
    assert run("jobs", "status", number).code == 1
    for command in ("status", "pause", "resume", "cancel", "quarantine"):
        assert run("jobs", command, "4711").failed_with("there is no job 4711")


def test_a_job_is_followed_until_it_is_over(run: Run, job: Job, store: JobStore) -> None:
    ends = threading.Timer(1.5, store.cancel, [job.id])
    ends.start()
    ran = run("jobs", "status", str(job.id), "--follow", "--json")
    ends.join()
    states = [json.loads(line)["state"] for line in ran.out.splitlines()]
    assert (ran.code, states[0], states[-1]) == (1, "running", "cancelled")
    assert len(states) > 1


def test_what_a_rotation_left_is_named_by_its_key(run: Run, clinic: Clinic) -> None:
    clinic.query("UPDATE bill SET amount = set_byte(amount, 70, get_byte(amount, 70) # 1)")
    ran = run("rotate", "--dek", "--yes", "--json")
    (number,) = [each["job"] for each in ran.json["rows"]["jobs"] if each["table"] == "bill"]
    found = run("jobs", "quarantine", str(number), "--json").json
    assert sorted(bad["key"] for bad in found) == [["1"], ["2"]]
    assert {bad["column"] for bad in found} == {"amount"}
    assert "and 1 more; say --limit" in run("jobs", "quarantine", str(number), "--limit", "1").out


def test_a_rate_that_nothing_can_keep_is_refused_before_a_key_is_made(
    run: Run, clinic: Clinic
) -> None:
    before = run("keys", "list", "--json").json
    for wrong in (("--max-rows-per-second", "0"), ("--max-lag", "-1")):
        assert run("rotate", "--dek", "--yes", *wrong).failed_with("more than 0")
    assert run("keys", "list", "--json").json == before
    wrong_half = run("rotate", "--kek", "--column", "patient.name", "--plan")
    assert wrong_half.failed_with("--column does not go with --kek")
