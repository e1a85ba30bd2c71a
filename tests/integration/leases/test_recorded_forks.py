"""What waits in memory for the log is written when workers end, by each what is its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

import vaultdb
from tests.fixtures.leasing import Leasing, lease_logins
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.leases.processes import settings_file
from tests.integration.leases.test_forks import accepts, running
from tests.unit.keys.support import eventually
from vaultdb.audit import emit, own_kind
from vaultdb.dev.ports import LOOPBACK, free_ports

REQUESTS = 12
AUDIT = {"mode": "relaxed", "principal": "tests", "flush_after": 60.0}
"""Nothing is flushed while a test lasts; an event of an application commits with its transaction,
the sign-in before it waits."""
NOTED = own_kind(10_001, "tests.noted", "Something was noted.", ("pid",))
NOTE = (
    "import os, vaultdb\n"
    "from vaultdb.audit import emit, own_kind\n"
    'NOTED = own_kind(10_001, "tests.noted", "Something was noted.", ("pid",))\n'
    "engine = vaultdb.create_engine()\n"
    "def note():\n"
    "    with engine.begin() as connection:\n"
    "        emit(connection, NOTED, pid=os.getpid())\n"
    "note()\n"
)


@pytest.fixture
def leasing(openbao: OpenBao, database: Database) -> Iterator[Leasing]:
    """Not the module's: the log of this test alone."""
    with lease_logins(openbao, database) as ready:
        yield ready


def note(engine: Engine) -> None:
    with engine.begin() as connection:
        emit(connection, NOTED, pid=os.getpid())


def environment_of(leasing: Leasing, folder: Path) -> dict[str, str]:
    audit = {f"VAULTDB_AUDIT_{key.upper()}": str(value) for key, value in AUDIT.items()}
    environment = settings_file(leasing, folder) | audit
    environment["PYTHONPATH"] += f":{folder}"
    return environment


def events(database: Database) -> Counter[str]:
    """Count the events by name, and see that each chain is whole and of one process."""
    chains: dict[Any, list[tuple[int, str]]] = {}
    found: Counter[str] = Counter()
    with database.connect() as connection:
        query = "SELECT chain, seq, body FROM vaultdb_audit.event ORDER BY chain, seq"
        for chain, seq, body in connection.execute(query):
            said = json.loads(body)
            found[said["event"]] += 1
            chains.setdefault(chain, []).append((seq, said.get("pid")))
    for records in chains.values():
        assert [seq for seq, _ in records] == list(range(len(records)))
        assert len({pid for _, pid in records if pid}) <= 1
    return found


def test_children_of_a_process_pool_write_what_waits_at_their_end(leasing: Leasing) -> None:
    engine = vaultdb.create_engine(settings=leasing.settings(audit=AUDIT))
    note(engine)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=note, args=(engine,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    found = events(leasing.database)
    assert (found["tests.noted"], found["session.signed-in"]) == (4, 3), "the parent's waits"
    note(engine)
    engine.dispose()
    found = events(leasing.database)
    assert (found["tests.noted"], found["session.signed-in"]) == (5, 5)
    assert found["chain.closed"] == found["chain.opened"]


def test_workers_of_gunicorn_that_preloads_write_what_waits_at_their_end(
    leasing: Leasing, tmp_path: Path
) -> None:
    pytest.importorskip("gunicorn")
    (tmp_path / "app.py").write_text(
        NOTE + "def app(environ, start_response):\n"
        "    note()\n"
        "    start_response('200 OK', [])\n"
        "    return [str(os.getpid()).encode()]\n"
    )
    (port,) = free_ports(1)
    command = [
        sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--chdir", str(tmp_path),
        "--bind", f"{LOOPBACK}:{port}", "--worker-tmp-dir", str(tmp_path),
        "--no-control-socket", "app:app",
    ]  # fmt: skip
    with running(command, environment_of(leasing, tmp_path), tmp_path) as (process, log):
        assert eventually(lambda: accepts(port), 30), log.read_text()
        workers = set()
        for _ in range(REQUESTS):
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/", timeout=10) as answer:
                workers.add(int(answer.read()))
        os.kill(next(iter(workers)), signal.SIGTERM)  # it is replaced, and writes what it has
        process.terminate()
        process.wait(30)
    found = events(leasing.database)
    assert found["tests.noted"] == found["session.signed-in"] == REQUESTS + 1, log.read_text()
    assert found["chain.closed"] == found["chain.opened"]


def test_workers_of_celery_write_what_waits_at_their_end(leasing: Leasing, tmp_path: Path) -> None:
    pytest.importorskip("celery")
    (tmp_path / "tasks.py").write_text(
        NOTE + "import celery\n"
        "app = celery.Celery('tasks', broker='filesystem://')\n"
        "folder = os.environ['QUEUE']\n"
        "app.conf.update(broker_transport_options={'data_folder_in': folder,\n"
        "    'data_folder_out': folder, 'control_folder': folder},\n"
        "    worker_prefetch_multiplier=1, worker_hijack_root_logger=False,\n"
        "    broker_connection_retry_on_startup=True)\n"
        "@app.task\n"
        "def work():\n"
        "    note()\n"
    )
    queue = tmp_path / "queue"
    queue.mkdir()
    environment = environment_of(leasing, tmp_path) | {"QUEUE": str(queue)}
    worker = [
        sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork",
        "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip
    send = f"import tasks\nfor _ in range({REQUESTS}): tasks.work.delay()"
    subprocess.run([sys.executable, "-c", send], env=environment, check=True, cwd=tmp_path)
    done = REQUESTS + 2  # the process that sends and the one that starts workers import it, too
    with running(worker, environment, tmp_path) as (process, log):
        assert eventually(lambda: events(leasing.database)["tests.noted"] == done, 60)
        process.terminate()
        process.wait(30)
    found = events(leasing.database)
    assert found["tests.noted"] == found["session.signed-in"] == done, log.read_text()
    assert found["chain.closed"] == found["chain.opened"]
