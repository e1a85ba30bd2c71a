"""What happens to honest logs is no alarm: load, rollbacks, kills, lost connections, restores."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select, text

from tests.fixtures.postgres import Database, Postgres
from tests.integration.audit.noting import auditor_of, in_threads, noted
from tests.integration.audit.test_sequencer_restore import restored
from tests.integration.audit.writing import Process
from tests.threats.verifying import Verifier
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.engine import create_engine
from vaultdb.engine.auditing import memory_audit_keys
from vaultdb.settings import Settings

metadata = MetaData()
things = Table("things", metadata, Column("id", Integer, primary_key=True))


@pytest.fixture
def verifier(database: Database) -> Verifier:
    database.create_all(metadata)
    keys = memory_audit_keys(database.realm, "app")
    keys.escrow()  # made here, for children to inherit
    return Verifier(database, keys)


@pytest.fixture
def new_engine(database: Database) -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(**audit: Any) -> Engine:
        section = {"mode": "strict", "principal": "service", "heartbeat": 0.02} | audit
        settings = Settings(
            realm=database.realm,
            keys="memory",
            database={"url": SecretStr(database.url)},
            audit=section,
        )
        made.append(create_engine(settings=settings, pool_size=16))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def write(engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        connection.execute(insert(things).values(id=number))
        auditor_of(engine).write(connection, noted(number))


def numbers(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return sorted(connection.scalars(select(things.c.id)))


def recorded(database: Database) -> list[int]:
    """Return the numbers in the log."""
    query = (
        "SELECT (body::json ->> 'note')::int AS number FROM vaultdb_audit.event"
        " WHERE body LIKE '%test.noted%' ORDER BY number"
    )
    with database.connect() as connection:
        return [number for (number,) in connection.execute(query)]


def test_sixteen_threads_two_sequencers_and_an_auditor_at_once(
    verifier: Verifier, new_engine: Callable[..., Engine]
) -> None:
    """With rollbacks, nested savepoints, and chains that are replaced all the time."""
    engine = new_engine(chain_age=0.2)
    auditor = auditor_of(engine)
    stop = threading.Event()
    failures: list[object] = []

    def sequence() -> None:
        with verifier.sequencer() as sequencer:
            while not stop.is_set():
                sequencer.step()
                time.sleep(0.005)

    def audit() -> None:
        while not stop.is_set():
            failures.extend(verifier.problems())

    def work(thread: int) -> None:
        for number in range(12):
            with engine.connect() as connection:
                connection.execute(insert(things).values(id=thread * 100 + number))
                auditor.write(connection, noted(thread * 100 + number))
                with connection.begin_nested():
                    nested = connection.begin_nested()
                    auditor.write(connection, noted(-1))
                    nested.rollback()
                auditor.add(noted(100_000))
                if number % 3:
                    connection.commit()
                else:
                    connection.rollback()

    others = [threading.Thread(target=each) for each in (sequence, sequence, audit)]
    for other in others:
        other.start()
    in_threads(16, work)
    engine.dispose()
    stop.set()
    for other in others:
        other.join()

    assert failures == []
    assert [number for number in recorded(verifier.database) if number < 100_000] == [
        thread * 100 + number for thread in range(16) for number in range(12) if number % 3
    ]
    verifier.sequence()
    found = verifier.verify(verifier.newest())
    assert found.findings.problems == []
    assert found.unsequenced == 0
    assert found.leaves == found.events > 16 * 12


def test_kill_9_in_mid_commit(verifier: Verifier, new_engine: Callable[..., Engine]) -> None:
    """A chain that a kill cuts off just ends; what was committed is in the log, and nothing else."""
    for attempt in range(3):
        before = len(recorded(verifier.database))
        pid = forked(lambda attempt=attempt: _endless(new_engine(), attempt))
        until = time.monotonic() + 20
        while len(recorded(verifier.database)) < before + 10 and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert verifier.problems() == []
        verifier.sequence()
    stored = numbers(new_engine(mode="off"))
    assert len(stored) >= 30
    assert recorded(verifier.database) == stored
    assert verifier.problems(verifier.newest()) == []


def forked(work: Callable[[], None]) -> int:
    """Fork a process that works; its exit code is 0 when it comes to the end."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def _endless(engine: Engine, attempt: int) -> None:
    def work(thread: int) -> None:
        for number in range(100_000):
            write(engine, (attempt * 8 + thread) * 100_000 + number)

    in_threads(8, work)


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "not committed"])
def test_a_connection_lost_during_commit(
    verifier: Verifier,
    new_engine: Callable[..., Engine],
    monkeypatch: pytest.MonkeyPatch,
    *,
    committed: bool,
) -> None:
    engine = new_engine()
    write(engine, 1)
    commit = psycopg.Connection.commit

    def lost(connection: psycopg.Connection[Any]) -> None:
        if committed:
            commit(connection)
        connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "commit", lost)
        with pytest.raises(Exception, match="closed the connection"):
            write(engine, 2)
    write(engine, 3)
    engine.dispose()

    assert recorded(verifier.database) == ([1, 2, 3] if committed else [1, 3])
    assert verifier.problems() == []
    assert verifier.sequence() > 0
    assert verifier.problems(verifier.newest()) == []


def test_a_fork_that_goes_on_writing(verifier: Verifier, new_engine: Callable[..., Engine]) -> None:
    engine = new_engine()
    write(engine, 1)

    def work() -> None:
        write(engine, 2)
        engine.dispose()

    assert os.waitpid(forked(work), 0)[1] == 0
    write(engine, 3)
    engine.dispose()

    assert recorded(verifier.database) == [1, 2, 3]
    assert verifier.problems() == []


def test_a_restore_into_a_new_cluster(database: Database, own_postgres: Postgres) -> None:
    keys = MemoryAuditKeys()
    verifier = Verifier(database, keys)
    process = Process(database, keys)
    one = process.open(5)
    verifier.sequence()
    exported = verifier.newest()
    process.write(one, 2)
    new = Verifier(restored(database, own_postgres), keys)

    assert new.problems(exported) == []
    Process(new.database, keys).open(3)
    assert new.sequence() == 2 + 4
    found = new.verify(exported, new.newest())
    assert found.findings.problems == []
    assert found.leaves == found.events == 12


def test_a_month_that_ends(database: Database) -> None:
    """Records of one chain on both sides, some of them in the default partition for a while."""
    keys = MemoryAuditKeys()
    verifier = Verifier(database, keys)
    process = Process(database, keys)
    one = process.open(5)
    verifier.sequence()
    process.write(one, 5)
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        moved = connection.execute(
            "UPDATE vaultdb_audit.event SET recorded_at = recorded_at + interval '5 months'"
            " WHERE seq > 2"
        )
        assert moved.rowcount == 8
    assert partition_sizes(database)["event_default"] == 8
    assert verifier.problems(verifier.newest()) == []
    with database.connect("vaultdb_audit_sequencer") as connection:
        connection.execute("SELECT vaultdb_audit.make_partitions(6)")
    sizes = partition_sizes(database)
    assert sizes.pop("event_default") == 0
    assert sorted(sizes.values())[-2:] == [3, 8]
    verifier.sequence()

    found = verifier.verify(verifier.newest())
    assert found.findings.problems == []
    assert found.leaves == found.events == 11
    assert any("8 records were stored more than" in remark for remark in found.findings.remarks)


def partition_sizes(database: Database) -> dict[str, int]:
    query = text(
        "SELECT tableoid::regclass::text, count(*) FROM vaultdb_audit.event GROUP BY 1"
    ).text
    with database.connect() as connection:
        found = {name.rpartition(".")[2]: int(count) for name, count in connection.execute(query)}
    return {"event_default": 0} | found
