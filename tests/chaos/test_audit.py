"""Processes and servers die while they write the audit log: no false alarm, nothing half done."""

from __future__ import annotations

import os
import random
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, text
from sqlalchemy.exc import OperationalError

from tests.chaos.conftest import ReportAudit
from tests.fixtures.postgres import Database, Postgres
from tests.integration.audit.conftest import Log
from tests.integration.audit.noting import auditor_of, in_threads, noted, notes, wait_until
from vaultdb.engine import create_engine
from vaultdb.engine.auditing import memory_audit_keys
from vaultdb.errors import AuditUnavailable
from vaultdb.settings import Settings

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

metadata = MetaData()
things = Table("things", metadata, Column("id", Integer, primary_key=True))
WORKERS = 8
_NUMBER = struct.Struct(">I")


@pytest.fixture
def log(database: Database) -> Log:
    database.create_all(metadata)
    return log_of(database)


def log_of(database: Database) -> Log:
    keys = memory_audit_keys(database.realm, "app")
    keys.escrow()  # made here, for children to inherit
    return Log(database, keys)


def new_engine(database: Database, **audit: Any) -> Engine:
    section = {"mode": "strict", "principal": "service", "heartbeat": 0.05} | audit
    settings = Settings(
        realm=database.realm,
        keys="memory",
        database={"url": SecretStr(database.url)},
        audit=section,
    )
    return create_engine(settings=settings, pool_size=WORKERS)


@contextmanager
def child(work: Callable[[Callable[[int], None]], None]) -> Iterator[tuple[int, int]]:
    """Fork a process that works; it tells numbers through a pipe, whose other end this gives."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            work(lambda number: os.write(writing, _NUMBER.pack(number)) and None)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        yield pid, reading
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)


def told(reading: int) -> list[int]:
    """Return the numbers that a dead child has told."""
    data = b""
    while chunk := os.read(reading, 1 << 16):
        data += chunk
    return [number for (number,) in _NUMBER.iter_unpack(data[: len(data) // 4 * 4])]


def ids(database: Database) -> set[str]:
    with database.connect() as connection:
        return {str(number) for (number,) in connection.execute("SELECT id FROM things")}


def in_log(log: Log) -> set[str]:
    found = notes(log)
    assert len(found) == len(set(found)), "an event is in the log twice"
    return set(found)


def check_heartbeats(log: Log) -> int:
    """Check that no heartbeat tells of a record that is not there; return how many there are."""
    last = {chain.hex: len(records) - 1 for chain, records in log.chains().items()}
    beats = log.bodies("chain.heartbeat")
    for beat in beats:
        assert all(head["seq"] <= last[head["chain"]] for head in beat["chains"])
    return len(beats)


def test_kill_9_in_mid_commit_leaves_whole_chains_and_no_change_without_its_event(
    database: Database, log: Log, report_audit: ReportAudit
) -> None:
    acknowledged: list[int] = []
    for attempt in range(12):

        def work(tell: Callable[[int], None], first: int = attempt * 1_000_000) -> None:
            engine = new_engine(database)

            def write(thread: int) -> None:
                number = first + thread * 100_000
                while True:
                    number += 1
                    with engine.begin() as connection:
                        connection.execute(insert(things).values(id=number))
                        auditor_of(engine).write(connection, noted(str(number)))
                    tell(number)

            in_threads(WORKERS, write)

        with child(work) as (pid, reading):
            time.sleep(random.uniform(0.4, 0.9))
            os.kill(pid, signal.SIGKILL)
            acknowledged += told(reading)
    assert len(acknowledged) > 100
    stored = ids(database)
    assert in_log(log) == stored
    assert {str(number) for number in acknowledged} <= stored
    beats = check_heartbeats(log)
    report_audit(
        "kill -9 in mid-commit",
        acknowledged=len(acknowledged),
        committed=len(stored),
        chains=len(log.chains()),
        heartbeats=beats,
    )


@pytest.mark.parametrize("flush_after", [0.2, 0.05])
def test_kill_9_loses_no_more_than_what_waited_in_memory(
    database: Database, log: Log, report_audit: ReportAudit, flush_after: float
) -> None:
    lost, rates = [], []
    for attempt in range(10):

        def work(tell: Callable[[int], None], first: int = attempt * 1_000_000) -> None:
            auditor = auditor_of(
                new_engine(database, mode="relaxed", flush_after=flush_after, heartbeat=60.0)
            )
            number = first
            while True:
                number += 1
                auditor.add(noted(str(number)))
                tell(number)
                time.sleep(0.001)

        with child(work) as (pid, reading):
            began = time.monotonic()
            time.sleep(random.uniform(1.0, 1.5))
            os.kill(pid, signal.SIGKILL)
            rates.append(len(numbers := told(reading)) / (time.monotonic() - began))
        missing = {str(number) for number in numbers} - in_log(log)
        assert numbers[0] not in missing
        lost.append(len(missing))
        assert {
            str(number) for number in sorted(numbers)[-len(missing) :]
        } >= missing or not missing
    milliseconds = max(count / rate for count, rate in zip(lost, rates, strict=True)) * 1000
    report_audit(
        f"kill -9, relaxed, flush_after={flush_after:g}",
        lost=max(lost),
        milliseconds=round(milliseconds),
    )
    assert milliseconds < flush_after * 1000 + 500


def test_sigterm_that_ends_the_interpreter_loses_nothing(database: Database, log: Log) -> None:
    def work(tell: Callable[[int], None]) -> None:
        import atexit

        def leave(*_: object) -> None:
            raise SystemExit

        signal.signal(signal.SIGTERM, leave)
        auditor = auditor_of(new_engine(database, mode="relaxed", flush_after=30.0))
        number = 0
        try:
            while True:
                number += 1
                auditor.add(noted(str(number)))
                tell(number)
        except SystemExit:
            atexit._run_exitfuncs()

    with child(work) as (pid, reading):
        time.sleep(0.5)
        os.kill(pid, signal.SIGTERM)
        numbers = told(reading)
    assert len(numbers) > 10
    assert {str(number) for number in numbers} <= in_log(log)


def test_a_server_that_is_killed_under_load_is_no_alarm_when_it_is_back(
    own_postgres: Postgres, report_audit: ReportAudit
) -> None:
    database = own_postgres.create_database()
    database.create_all(metadata)
    log = log_of(database)
    engine = new_engine(database)
    acknowledged: list[int] = []
    refused = 0
    stop = threading.Event()

    def write(thread: int) -> None:
        nonlocal refused
        number = thread * 100_000
        while not stop.is_set():
            number += 1
            try:
                with engine.begin() as connection:
                    connection.execute(insert(things).values(id=number))
                    auditor_of(engine).write(connection, noted(str(number)))
            except (OperationalError, AuditUnavailable):
                refused += 1
                time.sleep(0.05)
            else:
                acknowledged.append(number)

    def trouble() -> None:
        for _ in range(3):
            time.sleep(1.0)
            own_postgres.faults.kill()
            own_postgres.faults.start()
        time.sleep(1.0)
        stop.set()

    in_threads(WORKERS + 1, lambda number: trouble() if number == WORKERS else write(number))
    engine.dispose()
    stored = ids(database)
    assert refused > 0
    assert in_log(log) == stored
    assert {str(number) for number in acknowledged} <= stored
    check_heartbeats(log)
    report_audit(
        "server killed 3 times",
        acknowledged=len(acknowledged),
        committed=len(stored),
        chains=len(log.chains()),
    )


@pytest.mark.parametrize("committed", [True, False])
def test_a_connection_lost_during_commit_ends_its_chain_whatever_the_server_did(
    own_postgres: Postgres, committed: bool
) -> None:
    """The server waits for a standby that does not exist: then it has committed, and cannot say so.

    Or it waits in a deferred trigger: then it has not.
    """
    database = own_postgres.create_database()
    database.create_all(metadata)
    log = log_of(database)
    with database.connect() as connection:
        for name, value in {
            "synchronous_commit": "local",
            "synchronous_standby_names": "x",
        }.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(10); RETURN NULL; END'"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW WHEN (NEW.id = 666) EXECUTE FUNCTION wait()"
        )
    engine = new_engine(database)

    def transaction(number: int, *statements: str) -> None:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
            connection.execute(insert(things).values(id=number))
            auditor_of(engine).write(connection, noted(str(number)))

    def cut() -> None:
        with database.connect() as connection:
            wait_until(
                lambda: bool(
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                        " wait_event IN ('SyncRep', 'PgSleep') AND usename = 'vaultdb_app'"
                    ).fetchall()
                )
            )

    transaction(1)
    cutting = threading.Thread(target=cut)
    cutting.start()
    with pytest.raises((OperationalError, psycopg.OperationalError)):
        transaction(*((2, "SET LOCAL synchronous_commit = on") if committed else (666,)))
    cutting.join()
    transaction(3)
    engine.dispose()
    assert in_log(log) == ids(database) == ({"1", "2", "3"} if committed else {"1", "3"})
    check_heartbeats(log)


def test_a_frozen_server_refuses_a_read_in_time_and_is_no_alarm_afterwards(
    own_postgres: Postgres,
) -> None:
    database = own_postgres.create_database()
    log = log_of(database)
    engine = new_engine(database)
    auditor_of(engine).commit(noted("before"))
    began = time.monotonic()
    with (
        own_postgres.faults.frozen(),
        pytest.raises(AuditUnavailable, match="did not answer in 10 s"),
    ):
        auditor_of(engine).commit(noted("refused"))
    assert 9.0 < time.monotonic() - began < 15.0
    auditor_of(engine).commit(noted("after"))
    engine.dispose()
    assert {"before", "after"} <= set(notes(log))


def test_a_fork_opens_chains_of_its_own_and_leaves_what_waits_to_its_parent(
    database: Database, log: Log
) -> None:
    engine = new_engine(database, mode="relaxed", flush_after=60.0)
    auditor = auditor_of(engine)
    auditor.commit(noted("1"))
    with engine.begin() as connection:
        auditor.write(connection, noted("2"))
    auditor.add(noted("3"))

    def work(tell: Callable[[int], None]) -> None:
        assert auditor.spooled == 0
        auditor.commit(noted("4"))
        with engine.begin() as connection:
            auditor.write(connection, noted("5"))
        auditor.add(noted("6"))
        engine.dispose()
        tell(1)

    for expected in ("child", "another child"):
        with child(work) as (_pid, reading):
            assert told(reading) == [1], expected
    auditor.commit(noted("7"))
    engine.dispose()
    assert sorted(notes(log)) == ["1", "2", "3", "4", "4", "5", "5", "6", "6", "7"]
    processes = {opening.process for opening in log.openings()}
    writers = {opening.writer for opening in log.openings()}
    pids = {opening.pid for opening in log.openings()}
    assert len(processes) == len(writers) == len(pids) == 3
