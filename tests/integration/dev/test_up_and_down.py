"""``vaultdb dev``: up, down, up again."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.integration.dev.conftest import Command
from vaultdb.dev.databases import LOGINS
from vaultdb.dev.settings_file import DATABASE
from vaultdb.dev.stack import DevStack
from vaultdb.errors import DevStackError
from vaultdb.settings import Settings

KEY = "vaultdb-transit/datakey/plaintext/vaultdb"
CONTEXT = "Y29udGV4dA=="


def leave_data(stack: DevStack) -> str:
    """Write one row and wrap one key; return the wrapped key."""
    state = stack.folder.read()
    assert state is not None
    with psycopg.connect(stack.postgres(state).conninfo(DATABASE)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer")
    made = stack.openbao(state).admin().write(KEY, context=CONTEXT)
    return str(made["data"]["ciphertext"])


def data_is_there(stack: DevStack, wrapped: str) -> bool:
    state = stack.folder.read()
    assert state is not None
    with psycopg.connect(stack.postgres(state).conninfo(DATABASE)) as connection:
        row = connection.execute("SELECT answer FROM kept").fetchone()
    admin = stack.openbao(state).admin()
    opened = admin.write("vaultdb-transit/decrypt/vaultdb", context=CONTEXT, ciphertext=wrapped)
    return row == (42,) and bool(opened["data"]["plaintext"])


def pids(stack: DevStack) -> list[int | None]:
    return [server.pid for server in stack.status()]


def timed_up(stack: DevStack, name: str, record) -> None:
    started = time.monotonic()
    stack.up()
    seconds = time.monotonic() - started
    print(f"{name} start: {seconds:.1f} s")  # noqa: T201
    record(f"{name}_start_seconds", round(seconds, 2))


def test_data_survives_down_and_up(stack: DevStack, record_property):
    timed_up(stack, "first", record_property)
    wrapped = leave_data(stack)
    stack.down()
    assert [server.ready for server in stack.status()] == [False, False]
    timed_up(stack, "later", record_property)
    assert data_is_there(stack, wrapped)


def test_a_second_up_changes_nothing(running: DevStack):
    before = pids(running), running.folder.settings.read_text()
    running.up()
    assert (pids(running), running.folder.settings.read_text()) == before


def test_two_ups_at_once_start_one_stack_whatever_the_umask(stack: DevStack):
    command = [Path(sys.executable).with_name("vaultdb"), "dev", "up"]
    command += ["--state", str(stack.folder.root)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, umask=0o077) for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert all(server.ready for server in stack.status())
    listed = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True)
    ours = [line for line in listed.stdout.splitlines() if str(stack.folder.root) in line]
    assert len([line for line in ours if " server -config " in line]) == 1
    assert len([line for line in ours if "/postgres -D " in line]) == 1


def test_a_taken_port_is_left_to_its_owner(running: DevStack):
    stack = running
    before = stack.up()
    wrapped = leave_data(stack)
    stack.down()
    with socket.socket() as stranger, socket.socket() as other:
        for taken, port in ((stranger, before.postgres_port), (other, before.vault_port)):
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
        after = stack.up()
        assert after.postgres_port != before.postgres_port
        assert after.vault_port != before.vault_port
        assert data_is_there(stack, wrapped)
        settings = Settings.load(file=stack.folder.settings)
    assert settings.vault.addr == f"https://127.0.0.1:{after.vault_port}"


def test_lost_keys_are_not_replaced_by_new_ones_and_reset_deletes_only_the_stack(stack: DevStack):
    stack.up()
    stack.down()
    (stack.folder.openbao / "data" / "vault.db").unlink()
    with pytest.raises(DevStackError, match="every key: run vaultdb dev reset"):
        stack.up()
    ours = stack.folder.root / "notes.txt"
    ours.write_text("mine")
    stack.reset()
    assert list(stack.folder.root.iterdir()) == [ours]
    ours.unlink()
    assert stack.status() == []


def test_env_is_understood_by_a_shell(running: DevStack, vaultdb: Command):
    root = str(running.folder.root)
    printed = vaultdb("dev", "env", "--state", root)
    script = 'eval "$1"; printf %s "$VAULTDB_CONFIG"'
    shell = subprocess.run(
        ["/bin/sh", "-c", script, "sh", printed.stdout], capture_output=True, text=True, check=True
    )
    assert shell.stdout == f"{root}/vaultdb.toml"


def test_env_without_a_stack_says_what_to_do(vaultdb: Command, tmp_path: Path):
    printed = vaultdb("dev", "env", VAULTDB_DEV_STATE=str(tmp_path / "none"))
    assert printed.returncode != 0
    assert "run vaultdb dev up" in printed.stderr
    assert "Traceback" not in printed.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("folder", "environment", "words"),
    [
        ("/proc/none", {}, "cannot write to /proc/none: choose a folder with --state"),
        ("state", {"VAULTDB_DEV_VAULT": "/none", "VAULTDB_DEV_POSTGRES": "/none"}, "cannot find"),
    ],
)
def test_an_up_that_cannot_work_says_why_in_one_line(
    vaultdb: Command, tmp_path: Path, folder: str, environment: dict[str, str], words: str
):
    printed = vaultdb("dev", "up", "--state", str(tmp_path / folder), **environment)
    assert printed.returncode != 0
    assert words in printed.stderr
    assert len(printed.stderr.strip().splitlines()) == 1


def test_status_as_json_names_both_servers(running: DevStack, vaultdb: Command):
    printed = vaultdb("dev", "status", "--json", "--state", str(running.folder.root))
    servers = json.loads(printed.stdout)["servers"]
    assert printed.returncode == 0
    assert {name: server["ready"] for name, server in servers.items()} == {
        "openbao": True,
        "postgresql": True,
    }


def test_status_without_a_stack_fails(vaultdb: Command, tmp_path: Path):
    printed = vaultdb("dev", "status", "--state", str(tmp_path / "none"))
    assert (printed.returncode, "run vaultdb dev up" in printed.stdout) == (1, True)


@pytest.mark.parametrize(
    ("role", "login"),
    [
        (None, "vaultdb_app"),
        ("migrator", "vaultdb_owner"),
        ("officer", "vaultdb_key_officer"),
        ("rotator", "vaultdb_key_rotator"),
    ],
)
def test_the_settings_file_logs_every_role_in(running: DevStack, role, login: str):
    settings = Settings.load(file=running.folder.settings, role=role)
    assert settings.database.url is not None
    with psycopg.connect(
        settings.database.url.get_secret_value(),
        password=settings.database.read_password(),
        sslmode="verify-full",
        sslrootcert=str(settings.database.sslrootcert),
    ) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (login,)
    if role != "migrator":
        assert settings.vault.secret_id_file is not None
        state = running.folder.read()
        assert state is not None
        secret_id = settings.vault.secret_id_file.read_text()
        assert running.openbao(state).api().login_approle(settings.vault.role_id or "", secret_id)


def test_secrets_lie_in_private_files_and_nowhere_else(running: DevStack):
    secrets = list((running.folder.root / "secrets").iterdir())
    assert {f"{login}.password" for login in LOGINS} <= {path.name for path in secrets}
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}
    values = [p.read_bytes() for p in secrets if not p.name.endswith("role_id")]
    places = [running.folder.settings, running.folder.root / "state.json"]
    places += [running.folder.postgres / "server.log", *running.folder.openbao.glob("*.log")]
    text = b"".join(place.read_bytes() for place in places)
    assert [value for value in values if value in text] == []


def test_vault_speaks_nothing_older_than_tls_1_3(running: DevStack):
    state = running.folder.read()
    assert state is not None
    context = ssl.create_default_context(cafile=str(running.folder.tls / "ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", state.vault_port)) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_everything_is_audited(running: DevStack):
    state = running.folder.read()
    assert state is not None
    before = running.openbao(state).files.audit.stat().st_size
    running.openbao(state).admin()
    assert running.openbao(state).files.audit.stat().st_size > before
