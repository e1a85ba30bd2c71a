"""Children of a fork lease for themselves, give back what is theirs, and nothing of the parent's."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import vaultdb
from tests.fixtures.leasing import Leasing
from tests.integration.leases.conftest import user_of
from tests.integration.leases.processes import settings_file
from tests.unit.keys.support import eventually
from vaultdb.dev.ports import LOOPBACK, free_ports


@pytest.fixture
def engine(leasing: Leasing) -> Iterator[Any]:
    engine = vaultdb.create_engine(settings=leasing.settings())
    yield engine
    engine.dispose()


def test_a_forked_child_has_a_login_of_its_own(leasing: Leasing, engine: Any) -> None:
    reading, writing = os.pipe()
    with engine.connect() as connection:
        mine = connection.scalar(text("SELECT session_user::text"))
        pid = os.fork()
        if pid == 0:
            try:
                user = user_of(engine)
                engine.dispose()
                os.write(writing, user.encode())
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        theirs = os.read(reading, 100).decode()
        assert theirs.startswith("v_vaultdb_app_rw_")
        assert theirs != mine
        assert connection.scalar(text("SELECT session_user::text")) == mine
    assert user_of(engine) == mine
    assert leasing.leased_users() == [mine], "the child gave back its own, and no other"
    os.close(reading)
    os.close(writing)


def test_the_children_of_a_process_pool_give_back_at_their_end(
    leasing: Leasing, engine: Any
) -> None:
    mine = user_of(engine)
    context = multiprocessing.get_context("fork")
    found: Any = context.SimpleQueue()
    children = [context.Process(target=lambda: found.put(user_of(engine))) for _ in range(2)]
    for child in children:
        child.start()
    users = {found.get() for _ in children}
    for child in children:
        child.join(10)
        assert child.exitcode == 0
    assert len(users) == 2
    assert mine not in users
    assert leasing.leased_users() == [mine]
    assert user_of(engine) == mine


def test_workers_of_gunicorn_that_preloads_have_logins_of_their_own(
    leasing: Leasing, tmp_path: Path
) -> None:
    pytest.importorskip("gunicorn")
    (tmp_path / "app.py").write_text(
        "import os, sqlalchemy, vaultdb\n"
        "engine = vaultdb.create_engine()\n"
        "def user():\n"
        "    with engine.connect() as c:\n"
        "        return c.scalar(sqlalchemy.text('SELECT session_user::text'))\n"
        "print('parent', user(), flush=True)\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [f'{os.getpid()} {user()}'.encode()]\n"
    )
    (port,) = free_ports(1)
    command = [
        sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--chdir", str(tmp_path),
        "--bind", f"{LOOPBACK}:{port}", "--worker-tmp-dir", str(tmp_path),
        "--no-control-socket", "app:app",
    ]  # fmt: skip
    with running(command, settings_file(leasing, tmp_path), tmp_path) as (process, log):
        assert eventually(lambda: accepts(port), 30), log.read_text()
        found: dict[str, str] = {}

        def ask() -> bool:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/", timeout=10) as answer:
                pid, user = answer.read().decode().split()
            assert found.setdefault(pid, user) == user, "a worker keeps its login"
            return len(found) == 2

        assert eventually(ask, 30), log.read_text()
        (parent,) = [
            line.split()[1] for line in log.read_text().splitlines() if "parent v_" in line
        ]
        assert sorted(leasing.leased_users()) == sorted({parent, *found.values()})
        first = int(next(iter(found)))
        os.kill(first, signal.SIGTERM)
        assert eventually(lambda: found[str(first)] not in leasing.leased_users(), 15)
        assert parent in leasing.leased_users(), "a worker that ends leaves its siblings alone"
        process.terminate()
        process.wait(20)
    assert leasing.leased_users() == [], log.read_text()


def test_workers_of_celery_have_logins_of_their_own(leasing: Leasing, tmp_path: Path) -> None:
    pytest.importorskip("celery")
    (tmp_path / "tasks.py").write_text(
        "import os, celery, sqlalchemy, time, vaultdb\n"
        "engine = vaultdb.create_engine()\n"
        "def user():\n"
        "    with engine.connect() as c:\n"
        "        return c.scalar(sqlalchemy.text('SELECT session_user::text'))\n"
        "print('parent', user(), flush=True)\n"
        "app = celery.Celery('tasks', broker='filesystem://')\n"
        "folder = os.environ['QUEUE']\n"
        "app.conf.update(broker_transport_options={'data_folder_in': folder,\n"
        "    'data_folder_out': folder, 'control_folder': folder},\n"
        "    worker_prefetch_multiplier=1, worker_hijack_root_logger=False,\n"
        "    broker_connection_retry_on_startup=True)\n"
        "@app.task\n"
        "def report():\n"
        "    open(os.path.join(os.environ['OUT'], f'{os.getpid()} {user()}'), 'w').close()\n"
        "    time.sleep(0.3)\n"
    )
    queue, out = tmp_path / "queue", tmp_path / "out"
    queue.mkdir()
    out.mkdir()
    environment = settings_file(leasing, tmp_path) | {"QUEUE": str(queue), "OUT": str(out)}
    environment["PYTHONPATH"] += f":{tmp_path}"
    worker = [
        sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork",
        "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip
    send = "import tasks\nfor _ in range(6): tasks.report.delay()"
    subprocess.run([sys.executable, "-c", send], env=environment, check=True, cwd=tmp_path)
    with running(worker, environment, tmp_path) as (process, log):

        def found() -> dict[str, str]:
            return dict(file.name.split() for file in out.iterdir())  # type: ignore[misc]

        assert eventually(lambda: len(found()) == 2, 60), log.read_text()
        (parent,) = [
            line.split()[1] for line in log.read_text().splitlines() if "parent v_" in line
        ]
        users = set(found().values())
        assert len(users) == 2
        assert parent not in users
        assert sorted(leasing.leased_users()) == sorted({parent, *users})
        process.terminate()
        process.wait(30)
    assert leasing.leased_users() == [], log.read_text()


@contextmanager
def running(
    command: list[str], environment: dict[str, str], folder: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a server with its output in a file; end it and its children in any case."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process, log
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        time.sleep(0.05)
        return False
    return True
