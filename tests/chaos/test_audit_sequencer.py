"""A sequencer that is killed at any moment leaves a log that the next one goes on with."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.audit.commands import new_commands
from tests.integration.audit.writing import Process
from vaultdb.audit.chain import Record
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.merkle import Frontier, leaf_hash
from vaultdb.audit.note import Checkpoint, SignedNote

pytestmark = pytest.mark.chaos

KILLS = 6
WRITERS = 3


def write_until(stop: threading.Event, process: Process) -> None:
    one = process.open()
    while not stop.is_set():
        process.write(one, 20)


def test_every_checkpoint_that_was_exported_holds_after_many_kills(
    tmp_path: Path,
    database: Database,
    openbao: OpenBao,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands = new_commands(tmp_path, database, openbao, monkeypatch, capsys)
    process, stop = Process(database, MemoryAuditKeys()), threading.Event()
    writers = [threading.Thread(target=write_until, args=(stop, process)) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(KILLS):
            with commands.start("checkpoint", "--every", "1ms") as running:
                assert running.stdout is not None
                running.stdout.readline()
                time.sleep(random.uniform(0, 0.3))
                running.kill()
                running.communicate()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    ran = commands.run("checkpoint", "--once")
    assert (ran.code, ran.err) == (0, "")
    roots = roots_of(database)
    with database.connect() as connection:
        row = connection.execute("SELECT count(*) FROM vaultdb_audit.event").fetchone()
        assert row == (max(roots),), "a record without a leaf"
    exported = [Checkpoint.parse(SignedNote.parse(note).text) for note in commands.exported]
    assert len(exported) > KILLS
    for checkpoint in exported:
        assert roots[checkpoint.size] == checkpoint.root


def roots_of(database: Database) -> dict[int, bytes]:
    """Return the root after each leaf, from the records themselves."""
    query = (
        "SELECT e.chain, e.seq, e.at, e.body, e.mac FROM vaultdb_audit.leaf l"
        " JOIN vaultdb_audit.event e USING (chain, seq) ORDER BY l.index"
    )
    frontier, roots = Frontier(), {}
    with database.connect() as connection:
        for row in connection.execute(query):
            frontier.add(leaf_hash(Record(*row)))
            roots[frontier.size] = frontier.root()
    return roots
