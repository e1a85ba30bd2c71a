"""Months of the log: made ahead, and dropped as a whole below a signed checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.audit.commands import Commands, new_commands
from tests.integration.audit.writing import OneChain, Process
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.note import Checkpoint, SignedNote
from vaultdb.db.connect import new_engine
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.retention import Upkeep, list_months, make_ahead, month_of
from vaultdb.settings import DatabaseSettings

THIS_MONTH = datetime.now(UTC).date().replace(day=1)


def months_ago(count: int) -> date:
    month = THIS_MONTH
    for _ in range(count):
        month = (month - timedelta(days=1)).replace(day=1)
    return month


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


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    url = SecretStr(database.url_for("vaultdb_audit_sequencer"))
    made = new_engine(DatabaseSettings(url=url))
    yield made
    made.dispose()


def age(database: Database, one: OneChain, upto: int, months: int) -> None:
    """Let records of a chain up to a seq have come so many months ago."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE vaultdb_audit.event SET recorded_at = recorded_at - make_interval(months => %s)"
            " WHERE chain = %s AND seq <= %s",
            [months, one.id, upto],
        )


def count(database: Database, table: str) -> int:
    with database.connect() as connection:
        row = connection.execute(f"SELECT count(*) FROM vaultdb_audit.{table}".encode()).fetchone()
        assert row is not None
        return int(row[0])


def test_months_are_dropped_below_a_checkpoint_and_their_leaves_stay(
    commands: Commands, process: Process, database: Database
) -> None:
    one, other = process.open(5), process.open(2)
    age(database, one, 3, 2)
    age(database, other, 1, 1)
    assert commands.run("partitions").code == 0
    assert count(database, "event_default") == 0
    assert commands.run("checkpoint", "--once").code == 0
    planned = commands.run("drop-before", f"{THIS_MONTH:%Y-%m}", "--plan")
    assert f"{months_ago(2):%Y-%m}  4" in planned.out
    assert "checkpoint of size 9" in planned.out
    assert count(database, "event") == 9
    ran = commands.run("drop-before", f"{THIS_MONTH:%Y-%m}", "--yes", "--json")
    assert (ran.code, ran.err) == (0, "")
    said = json.loads(ran.out)
    assert (said["dropped"], said["checkpoint"]) == (True, 9)
    assert [(each["month"], each["events"]) for each in said["months"]] == [
        (f"{months_ago(2):%Y-%m}", 4),
        (f"{months_ago(1):%Y-%m}", 2),
    ]
    with database.connect() as connection:
        cut = connection.execute("SELECT chain, seq FROM vaultdb_audit.cut").fetchall()
        told = connection.execute(
            "SELECT e.body, l.index FROM vaultdb_audit.event e JOIN vaultdb_audit.leaf l"
            " USING (chain, seq) WHERE e.body LIKE '%partition-dropped%' ORDER BY l.index"
        ).fetchall()
    assert set(cut) == {(one.id, 3), (other.id, 1)}
    bodies = [json.loads(body) for body, _ in told]
    assert [(body["month"], body["events"], body["size"]) for body in bodies] == [
        (f"{months_ago(2):%Y-%m}", 4, 9),
        (f"{months_ago(1):%Y-%m}", 2, 9),
    ]
    exported = Checkpoint.parse(SignedNote.parse(commands.exported[-1]).text)
    assert exported.size > max(index for _, index in told)
    leaves = count(database, "leaf")
    process.write(one)
    assert commands.run("checkpoint", "--once").code == 0
    assert count(database, "leaf") > leaves


def test_a_month_with_a_record_that_is_not_signed_stays(
    commands: Commands, process: Process, database: Database
) -> None:
    one = process.open(3)
    age(database, one, 3, 1)
    commands.run("partitions")
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM vaultdb_audit.event WHERE seq = 1")
    commands.run("checkpoint", "--once")
    ran = commands.run("drop-before", f"{THIS_MONTH:%Y-%m}", "--yes")
    assert ran.code == 1
    assert "2 of 3 records of" in ran.err
    assert count(database, f"event_{months_ago(1):%Y_%m}") == 3


def test_this_months_records_are_never_dropped(
    commands: Commands, process: Process, database: Database
) -> None:
    process.open(3)
    commands.run("checkpoint", "--once")
    ran = commands.run("drop-before", f"{THIS_MONTH:%Y-%m}", "--yes")
    assert (ran.code, ran.out) == (0, "no month is older\n")
    assert count(database, "event") == 4


def test_partitions_are_made_ahead_once_and_hold_the_records_of_their_month(
    engine: Engine, process: Process, database: Database
) -> None:
    make_ahead(engine, 4)
    assert make_ahead(engine, 4) == 0
    one = process.open(1)
    age(database, one, 1, -4)
    age(database, one, 0, 1)
    assert count(database, "event_default") == 0 or make_ahead(engine, 4) > 0
    found = {str(each): each for each in list_months(engine)}
    assert found["default"].month is None
    assert len(found) >= 6
    assert count(database, f"event_{THIS_MONTH:%Y_%m}") == 0


def test_a_sequencer_that_cannot_make_partitions_now_says_so_and_goes_on(
    engine: Engine, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    upkeep = Upkeep(engine, _clock=lambda: now[0])
    with psycopg.connect(database.admin_url) as idle:
        idle.execute("SELECT count(*) FROM vaultdb_audit.event_default")
        upkeep()
    assert "cannot make partitions of the audit log ahead" in caplog.text
    before = len(list_months(engine))
    now[0] = 3599
    upkeep()
    assert len(list_months(engine)) == before
    now[0] = 3600
    upkeep()
    assert len(list_months(engine)) > before


@pytest.mark.parametrize("said", ["2026", "2026-13", "yesterday", "2026-03-01", "26-03"])
def test_what_is_no_month_is_refused(said: str) -> None:
    with pytest.raises(ConfigurationError, match="such as 2026-03"):
        month_of(said)
