"""`vaultdb audit checkpoint`: signed by Vault, exported, and refused when the log went back."""

from __future__ import annotations

import json
import signal
from functools import partialmethod
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.audit.commands import Commands, new_commands
from tests.integration.audit.writing import Process
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.note import Checkpoint, SignedNote, VerifierKey
from vaultdb.jobs.audit.sequencer import Sequencer


@pytest.fixture
def commands(
    tmp_path: Path,
    database: Database,
    openbao: OpenBao,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Commands:
    return new_commands(tmp_path, database, openbao, monkeypatch, capsys)


@pytest.fixture
def process(database: Database) -> Process:
    return Process(database, MemoryAuditKeys())


def sizes(commands: Commands) -> list[tuple[str, int]]:
    """Return origin and size of what was exported."""
    found = [Checkpoint.parse(SignedNote.parse(note).text) for note in commands.exported]
    return [(each.origin, each.size) for each in found]


def test_a_checkpoint_verifies_offline_with_the_exported_key(
    commands: Commands, process: Process, tmp_path: Path
) -> None:
    assert commands.run("checkpoint", "--once").out == "the audit log is empty\n"
    process.open(4)
    ran = commands.run("checkpoint", "--once", "--json")
    assert (ran.code, ran.err) == (0, "")
    said = json.loads(ran.out)
    assert (said["epoch"], said["size"], said["gaps"], said["late"]) == (1, 5, [], [])
    (note,) = commands.exported
    assert said["note"] == note
    key_file = tmp_path / "checkpoint.vkey"
    listed = commands.run("keys", "--export-key", str(key_file))
    assert key_file.read_text().strip() in listed.out
    key = VerifierKey.parse(key_file.read_text())
    assert SignedNote.parse(note).verify(key) == key
    assert key.name == f"vaultdb-audit/{process.database.realm}"


def test_a_running_sequencer_signs_what_comes_and_stops_cleanly(
    commands: Commands, process: Process
) -> None:
    one = process.open(1)
    with commands.start("checkpoint", "--every", "100ms") as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        process.write(one, 3)
        second = running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=30)
    assert "size 2 of epoch 1" in first
    assert "size 5 of epoch 1  +3" in second
    assert (running.returncode, out, err) == (0, "", "")
    assert [size for _, size in sizes(commands)] == [2, 5]


def test_an_outage_is_told_when_it_begins_and_when_it_ends(
    commands: Commands, process: Process, database: Database
) -> None:
    process.open(1)
    login = "vaultdb_audit_sequencer"
    with commands.start("checkpoint", "--every", "50ms") as running, database.connect() as admin:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        admin.execute(f"ALTER ROLE {login} CONNECTION LIMIT 0")
        try:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = %s AND datname = current_database()",
                [login],
            )
            began = running.stderr.readline()
        finally:
            admin.execute(f"ALTER ROLE {login} CONNECTION LIMIT -1")
        ended = running.stderr.readline()
        running.terminate()
        running.communicate(timeout=30)
    assert began.startswith("warning: the audit log gets no checkpoints now: ")
    assert ended == "warning: the audit log gets checkpoints again\n"


def test_what_was_signed_before_a_crash_and_not_exported_is_exported_at_the_next_start(
    commands: Commands, process: Process
) -> None:
    process.open(1)
    commands.run("checkpoint", "--once")
    (note,) = commands.exported
    (commands.folder / "exported").unlink()
    commands.run("checkpoint", "--once")
    assert commands.exported == [note]


def test_a_second_sequencer_does_nothing_and_says_so(
    commands: Commands, process: Process, database: Database
) -> None:
    process.open(1)
    with psycopg.connect(database.url_for("vaultdb_audit_sequencer")) as first:
        first.execute("SELECT pg_advisory_xact_lock(hashtext('vaultdb.audit'))")
        ran = commands.run("checkpoint", "--once")
        assert ran.code == 1
        assert ran.err.endswith("error: another sequencer is at work, so nothing was done\n")
        with commands.start("checkpoint", "--every", "100ms") as waiting:
            assert waiting.stderr is not None
            assert waiting.stderr.readline() == "another sequencer is at work; waiting\n"
            first.rollback()
            assert waiting.stdout is not None
            assert "size 2" in waiting.stdout.readline()
            waiting.terminate()
            waiting.communicate(timeout=30)
    assert waiting.returncode == 0


def test_a_missing_record_is_an_event_a_warning_and_an_exit_code(
    commands: Commands, process: Process, database: Database
) -> None:
    one = process.open(3)
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM vaultdb_audit.event WHERE seq = 2")
    ran = commands.run("checkpoint", "--once", "--alarm-after", "1ms")
    assert ran.code == 1
    assert f"error: the chain {one.id} of the audit log waits for its record 2" in ran.err
    with database.connect() as connection:
        query = "SELECT body FROM vaultdb_audit.event WHERE body LIKE '%audit.gap%'"
        ((body,),) = connection.execute(query).fetchall()
    said = json.loads(body)
    assert (said["event"], said["chain"], said["seq"]) == ("audit.gap", one.id.hex, 2)
    assert said["login"] == "vaultdb_audit_sequencer"


def test_a_database_older_than_what_was_exported_is_refused_until_a_new_epoch_begins(
    commands: Commands, process: Process, database: Database, postgres: Any
) -> None:
    one = process.open(1)
    commands.run("checkpoint", "--once")
    with closing_copy(database) as backup:
        process.write(one, 3)
        commands.run("checkpoint", "--once")
        ran = commands.run("checkpoint", "--new-epoch", "--yes")
        assert ran.code == 1
        assert "needs no new epoch" in ran.err
        restored = backup()
    ran = commands.run("checkpoint", "--once")
    assert ran.code == 1
    assert "vaultdb audit checkpoint --new-epoch" in ran.err
    assert "size 5 of epoch 1 was signed before" in ran.err
    with commands.start("checkpoint", "--every", "100ms") as running:
        assert running.wait(30) == 1
    ran = commands.run("checkpoint", "--new-epoch", "--yes")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "epoch 2 begins at size 2")
    other = Process(restored, MemoryAuditKeys())
    other.open(1)
    ran = commands.run("checkpoint", "--once")
    assert ran.code == 0
    origin = f"vaultdb-audit/{database.realm}"
    begun, after = sizes(commands)[-2:]
    assert begun == (f"{origin}/2", 2)
    assert after[0] == f"{origin}/2"
    assert after[1] > 4  # the event of the new epoch has a leaf as well
    with restored.connect() as connection:
        query = "SELECT body FROM vaultdb_audit.event WHERE body LIKE '%epoch-begun%'"
        ((body,),) = connection.execute(query).fetchall()
    assert (json.loads(body)["epoch"], json.loads(body)["size"]) == (2, 2)


def closing_copy(database: Database) -> Any:
    """Copy the database now; calling the result puts the copy in the place of the original."""
    from contextlib import contextmanager

    @contextmanager
    def copied() -> Any:
        name = f"{database.name}_backup"
        admin = database.postgres.admin_url
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{database.name}"'.encode())

        def restore() -> Database:
            database.postgres.drop_database(database.name)
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute(f'ALTER DATABASE "{name}" RENAME TO "{database.name}"'.encode())
            return database

        yield restore

    return copied()


def test_how_much_waits_is_told_while_it_is_behind(
    commands: Commands, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sequencer, "__init__", partialmethod(Sequencer.__init__, batch=10))
    process.open(24)
    ran = commands.run("checkpoint", "--once")
    assert [line.partition("ms")[2] for line in ran.out.splitlines()[:3]] == [
        ", about 15 wait",
        ", about 5 wait",
        "",
    ]
