"""Chunks as procrastinate jobs: real workers, one of which dies; nothing secret in the queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import insert

from tests.integration.rotation.conftest import MODELS, Clinic, Run
from tests.integration.rotation.models import Base, Patient
from tests.killed_rotation import COMMAND
from vaultdb.db.connect import new_engine
from vaultdb.db.role_names import RoleNames
from vaultdb.jobs.reencrypt.target import reencrypt_spec
from vaultdb.jobs.work.job import Job, JobState
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.store import JobStore
from vaultdb.roles.verify import verify
from vaultdb.settings import Settings

ROWS = 2_000
CHUNK = 200


@pytest.fixture
def store(clinic: Clinic) -> Iterator[JobStore]:
    settings = Settings.load(file=clinic.settings_file, role="rotator")
    engine = new_engine(settings)
    yield JobStore(engine)
    engine.dispose()


@pytest.fixture
def job(run: Run, clinic: Clinic, store: JobStore) -> Job:
    """Many rows under the first key, a second one that writes, and a job in the queue."""
    with clinic.session("acme") as session:
        session.execute(insert(Patient), [{"name": f"n{n}", "email": None} for n in range(ROWS)])
        session.commit()
    clinic.query("ANALYZE patient")
    assert run("keys", "create", "--tenant", "acme", "--purpose", "data", "--new-version").code == 0
    table = Base.metadata.tables["patient"]
    return store.start(
        "reencrypt",
        table.fullname,
        reencrypt_spec(table),
        split=lambda connection: split_table(connection, table, chunk_rows=CHUNK),
    )


def start(clinic: Clinic, *options: str) -> subprocess.Popen[str]:
    arguments = ("--config", str(clinic.settings_file), "jobs", "worker", "-m", MODELS, *options)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        (*COMMAND, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def test_the_queue_is_made_once_and_leaves_no_drift(run: Run, clinic: Clinic) -> None:
    before = drift(clinic)
    made = run("jobs", "install", "--yes")
    assert (made.code, made.out) == (0, "schema procrastinate: made\n")
    assert run("jobs", "install", "--yes").out == "schema procrastinate: is there already\n"
    assert drift(clinic) == before
    for user, allowed in {"vaultdb_app": False, "vaultdb_key_rotator": True}.items():
        with clinic.database.connect(user) as connection:
            query = "SELECT count(*) FROM procrastinate.procrastinate_jobs"
            if allowed:
                assert connection.execute(query).fetchone() == (0,)
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(query)
    ((owner,),) = clinic.query(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class"
        " WHERE relnamespace = 'procrastinate'::regnamespace"
    )
    assert owner == "vaultdb_owner"


def drift(clinic: Clinic) -> list[str]:
    settings = Settings.load(
        file=clinic.settings_file, role="admin", database={"url": clinic.database.admin_url}
    )
    engine = new_engine(settings, searches_models=False)
    try:
        with engine.connect() as connection:
            found = verify(connection, Base.metadata, RoleNames())
            return sorted(map(str, (*found.drifts, *found.notes)))
    finally:
        engine.dispose()


def test_two_workers_share_a_job_and_the_queue_holds_ids_only(
    run: Run, clinic: Clinic, store: JobStore, job: Job
) -> None:
    run("jobs", "install", "--yes")
    sent = run("jobs", "send", str(job.id))
    assert sent.code == 0, sent.out + sent.err
    found = clinic.query("SELECT DISTINCT args::text FROM procrastinate.procrastinate_jobs")
    assert found == [(f'{{"job": {job.id}}}',)]
    workers = [start(clinic, "--until-done") for _ in range(2)]
    for worker in workers:
        out, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0, out
    assert store.get(job.id).state is JobState.FINISHED
    assert store.progress(job.id).changed == ROWS + 7
    again = run("jobs", "send", str(job.id))
    assert "only a running job can be sent" in again.err


@pytest.mark.chaos
@pytest.mark.slow
def test_the_chunk_of_a_worker_that_died_is_taken_over(
    run: Run, clinic: Clinic, store: JobStore, job: Job
) -> None:
    run("jobs", "install", "--yes")
    run("jobs", "send", str(job.id))
    doomed = start(clinic, "--max-rows-per-second", "100")
    while not store.progress(job.id).changed:
        assert doomed.poll() is None, doomed.communicate()
        time.sleep(0.05)
    doomed.send_signal(signal.SIGKILL)
    doomed.communicate()
    heir = start(clinic)
    deadline = time.monotonic() + 150
    while store.get(job.id).state is not JobState.FINISHED:
        assert time.monotonic() < deadline
        assert heir.poll() is None
        time.sleep(0.5)
    heir.send_signal(signal.SIGTERM)
    out, _ = heir.communicate(timeout=30)
    assert heir.returncode == 0, out
    assert "taken over" in out
    assert store.progress(job.id).changed == ROWS + 7


def test_a_worker_that_is_told_to_stop_leaves_the_rest_to_others(
    run: Run, clinic: Clinic, store: JobStore, job: Job
) -> None:
    run("jobs", "install", "--yes")
    run("jobs", "send", str(job.id))
    first = start(clinic, "--max-rows-per-second", "200")
    while not store.progress(job.id).changed:
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    out, _ = first.communicate(timeout=20)
    assert first.returncode == 0, out
    assert store.progress(job.id).workers == 0
    assert 0 < store.progress(job.id).changed < ROWS
    second = start(clinic, "--until-done")
    deadline = time.monotonic() + 60
    while store.get(job.id).state is not JobState.FINISHED:
        assert time.monotonic() < deadline
        if second.poll() is not None:  # what was given back comes a few seconds later
            second = start(clinic, "--until-done")
        time.sleep(0.2)
    second.communicate(timeout=20)
    assert store.progress(job.id).changed == ROWS + 7


def test_a_worker_takes_no_job_that_moves_values_unless_told(
    run: Run, clinic: Clinic, store: JobStore, job: Job
) -> None:
    run("jobs", "install", "--yes")
    clinic.query("UPDATE vaultdb.job SET kind = 'rebind'")
    run("jobs", "send", str(job.id))
    worker = start(clinic, "--until-done")
    out, _ = worker.communicate(timeout=60)
    assert "which this worker does not take" in out
    assert store.progress(job.id).changed == 0


def test_the_adapter_for_celery_in_the_documentation_works(
    clinic: Clinic, store: JobStore, job: Job, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/many-machines.md").read_text("utf-8")
    adapter = page.partition("```python\n")[2].partition("```")[0]
    with clinic.settings_file.open("a") as settings:
        settings.write(f'[role.reencryptor.database]\nurl = "{clinic.database.rotator_url}"\n')
    folder = tmp_path / "celery"
    queue = folder / "queue"
    queue.mkdir(parents=True)
    (folder / "clinic.py").write_text("from tests.integration.rotation.models import Base\n")
    (folder / "tasks.py").write_text(
        f"import celery\n{adapter}\n"
        "app = celery.Celery('tasks', broker='filesystem://')\n"
        f"folder = {str(queue)!r}\n"
        "app.conf.update(broker_transport_options={'data_folder_in': folder,\n"
        "    'data_folder_out': folder, 'control_folder': folder}, worker_hijack_root_logger=False)\n"
    )
    environment = os.environ | {
        "PYTHONPATH": f"{folder}:{Path(__file__).parents[3]}",
        "VAULTDB_CONFIG": str(clinic.settings_file),
    }
    send = f"import tasks\nfor _ in range(2): tasks.reencrypt.delay({job.id})"
    subprocess.run([sys.executable, "-c", send], env=environment, check=True, cwd=folder)
    command = [
        sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork",
        "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        worker = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 60
            while store.get(job.id).state is not JobState.FINISHED:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
            worker.terminate()
            worker.wait(20)
        finally:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
    assert store.progress(job.id).changed == ROWS + 7
