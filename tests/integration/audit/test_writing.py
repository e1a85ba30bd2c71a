"""Events on the log's own connections: committed at once, or soon."""

from __future__ import annotations

import logging
import os
import time

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from tests.fixtures.postgres import Database, Postgres
from tests.integration.audit.conftest import Audited, Log
from tests.integration.audit.noting import (
    JONES,
    NOTE,
    MakeEngine,
    auditor_of,
    in_threads,
    noted,
    notes,
    revoked,
    sent,
    wait_until,
)
from vaultdb.audit.auditor import AuditMode
from vaultdb.audit.event import Event
from vaultdb.audit.kinds import DATA_READ
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.db.auditlog import flusher
from vaultdb.db.auditlog.auditor import PostgresAuditor
from vaultdb.engine import create_engine
from vaultdb.engine.auditing import open_auditor, operator
from vaultdb.errors import AuditUnavailable, ConfigurationError, PrincipalMissing
from vaultdb.orm.runtime import runtime_of


@pytest.fixture
def engine(audited_engine: MakeEngine) -> Engine:
    return audited_engine()


def test_a_committed_event_says_who_did_what_and_as_whom(engine: Engine, log: Log) -> None:
    auditor_of(engine).commit(Event(DATA_READ, {"id": "1", "tables": ["public.t"]}, JONES))
    (body,) = log.bodies("data.read")
    assert body == {
        "v": 1,
        "no": 2000,
        "event": "data.read",
        "login": "vaultdb_app",
        "principal": "dr-jones",
        "purpose": "treatment",
        "tenant": "clinic",
        "request": "r-1",
        "id": "1",
        "tables": ["public.t"],
    }
    (opening,) = log.openings()
    assert (opening.role, opening.login, opening.pid) == ("app", "vaultdb_app", os.getpid())


def test_events_of_one_call_are_one_round_trip_on_one_chain(
    engine: Engine, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor = auditor_of(engine)
    auditor.commit(noted("opens the chain"))
    counted = sent(monkeypatch)
    auditor.commit(noted("one"))
    assert counted == [1]
    auditor.commit(*(noted(str(number)) for number in range(50)))
    assert counted == [1, 1]
    assert len(notes(log)) == 52
    assert len(log.chains()) == 1


def test_nothing_is_connected_to_before_the_first_event(
    audited_engine: MakeEngine, log: Log
) -> None:
    auditor = auditor_of(audited_engine())
    assert (auditor.mode, auditor.key_limit) == (AuditMode.STRICT, 20)
    auditor.commit()
    auditor.add()
    assert log.openings() == []


def test_an_event_that_may_wait_is_committed_within_the_time_that_is_set(
    audited_engine: MakeEngine, log: Log
) -> None:
    auditor = auditor_of(audited_engine(mode="relaxed", flush_after=0.2))
    auditor.add(noted("opens the chain"))
    wait_until(lambda: auditor.spooled == 0)
    began = time.monotonic()
    auditor.add(noted("a"), noted("b"))
    assert auditor.spooled == 2
    auditor.add(noted("c"))
    wait_until(lambda: auditor.spooled == 0)
    assert 0.15 < time.monotonic() - began < 2.0
    assert notes(log)[1:] == ["a", "b", "c"]


def test_an_event_keeps_the_time_at_which_it_was_told(audited_engine: MakeEngine, log: Log) -> None:
    auditor = auditor_of(audited_engine(flush_after=60.0))
    auditor.add(noted("first"))
    auditor.commit(noted("second"))
    (records,) = log.chains().values()
    first, second = records[1:]
    assert first.at <= second.at
    assert auditor.spooled == 0, "a commit takes along what waits"


def test_a_clean_stop_loses_nothing_and_closes_the_chains(
    audited_engine: MakeEngine, log: Log
) -> None:
    engine = audited_engine(mode="relaxed", flush_after=60.0)
    for number in range(2_500):
        auditor_of(engine).add(noted(str(number)))
    engine.dispose()
    assert sorted(map(int, notes(log))) == list(range(2_500))
    closed = [records[-1].body for records in log.chains().values()]
    assert all('"reason":"stopped"' in body for body in closed)


def test_an_engine_that_is_used_after_it_was_disposed_of_opens_another_chain(
    engine: Engine, log: Log
) -> None:
    auditor_of(engine).commit(noted("before"))
    engine.dispose()
    auditor_of(engine).commit(noted("after"))
    assert len(log.chains()) == 2
    assert sorted(notes(log)) == ["after", "before"]


def test_a_full_memory_is_an_error_after_a_while(
    audited_engine: MakeEngine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flusher, "RETRY_AFTER", 0.05)
    auditor = auditor_of(audited_engine(mode="relaxed", spool=3, flush_after=0.01))
    monkeypatch.setattr(auditor._outbox, "_full_for", 0.1)
    with revoked(database):
        for number in range(3):
            auditor.add(noted(str(number)))
        with pytest.raises(AuditUnavailable, match="3 events wait in memory already"):
            auditor.add(noted("one too many"))
    wait_until(lambda: auditor.spooled == 0)
    auditor.add(noted("there is a place again"))


def test_what_waits_outlives_a_log_that_cannot_be_written_for_a_while(
    audited_engine: MakeEngine,
    database: Database,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(flusher, "RETRY_AFTER", 0.05)
    auditor = auditor_of(audited_engine(mode="relaxed", flush_after=0.01))
    with revoked(database), caplog.at_level(logging.WARNING, "vaultdb.audit"):
        auditor.add(noted("kept"))
        wait_until(lambda: bool(caplog.records))
        assert "permission denied" in caplog.text
        assert auditor.spooled == 1
        with pytest.raises(AuditUnavailable):
            auditor.commit(noted("refused"))
    wait_until(lambda: auditor.spooled == 0)
    assert notes(log) == ["kept"]


def test_events_that_a_stop_cannot_write_are_counted_in_an_error(
    audited_engine: MakeEngine, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    engine = audited_engine(mode="relaxed", flush_after=60.0)
    auditor_of(engine).add(noted("lost"), noted("lost too"))
    with revoked(database):
        engine.dispose()
    assert "2 events that waited in memory are lost" in caplog.text


def test_the_log_is_on_the_primary_when_the_engine_reads_a_replica(
    audited: Audited, database: Database, postgres: Postgres, log: Log
) -> None:
    """Here the replica is another database, which has no log."""
    settings = audited()
    replica = postgres.create_database()
    with replica.connect() as connection:
        connection.execute("DROP TABLE vaultdb_audit.event CASCADE")
    urls = {"url": SecretStr(replica.url), "primary_url": SecretStr(database.url)}
    settings = settings.model_copy(update={"database": settings.database.model_copy(update=urls)})
    engine = create_engine(settings=settings)
    auditor_of(engine).commit(noted("on the primary"))
    engine.dispose()
    postgres.drop_database(replica.name)
    assert notes(log) == ["on the primary"]


def test_the_process_is_certified_once_for_all_its_chains(audited: Audited, log: Log) -> None:
    class Counting(MemoryAuditKeys):
        certified = 0

        def certify(self, statement: bytes) -> str:
            Counting.certified += 1
            return super().certify(statement)

    auditor = PostgresAuditor(audited(chain_age=0.000_001), Counting())
    for number in range(3):
        auditor.commit(noted(str(number)))
    auditor.close()
    assert Counting.certified == 1
    with log.database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM vaultdb_audit.chain").fetchone() == (3,)


def test_sixteen_threads_share_few_connections_and_their_commits(engine: Engine, log: Log) -> None:
    auditor = auditor_of(engine)

    def work(thread: int) -> None:
        for number in range(20):
            auditor.commit(noted(f"{thread}-{number}"))

    in_threads(16, work)
    assert len(set(notes(log))) == 320
    assert len(log.chains()) <= 4
    with log.database.connect() as connection:
        transactions = connection.execute(
            "SELECT count(DISTINCT xmin::text) FROM vaultdb_audit.event"
        ).fetchone()
    assert transactions is not None
    assert transactions[0] < 320, "whoever writes takes along what others wait for"


def test_an_old_chain_is_closed_and_another_takes_its_place(
    audited_engine: MakeEngine, log: Log
) -> None:
    auditor = auditor_of(audited_engine(chain_age=0.3, heartbeat=0.1))
    auditor.commit(noted("old"))
    time.sleep(0.4)
    auditor.commit(noted("new"))
    wait_until(lambda: bool(log.bodies("chain.closed")))
    assert log.bodies("chain.closed")[0]["reason"] == "replaced"
    assert len(log.chains()) >= 2


def test_a_connection_that_the_server_has_ended_is_noticed_before_it_is_used(
    engine: Engine, database: Database, log: Log
) -> None:
    auditor = auditor_of(engine)
    auditor.commit(noted("before"))
    with database.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE usename = 'vaultdb_app' AND datname = current_database()"
        )
    auditor.commit(noted("after"))
    assert sorted(notes(log)) == ["after", "before"]


def test_a_connection_that_dies_unnoticed_is_replaced_and_its_chain_too(
    engine: Engine, database: Database, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaultdb.db.auditlog.pool.is_cut", lambda _connection: False)
    auditor = auditor_of(engine)
    auditor.commit(noted("before"))
    with database.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE usename = 'vaultdb_app' AND datname = current_database()"
        )
    auditor.commit(noted("after"))
    assert sorted(notes(log)) == ["after", "before"]
    assert len(log.chains()) == 2


def test_heartbeats_go_on_after_the_engine_was_disposed_of(
    audited_engine: MakeEngine, log: Log
) -> None:
    engine = audited_engine(heartbeat=0.2)
    auditor = auditor_of(engine)
    auditor.commit(noted("before"))
    auditor.close()
    auditor.commit(noted("after"))
    wait_until(lambda: len(log.bodies("chain.heartbeat")) == 1)


def test_a_heartbeat_tells_how_long_every_chain_is_and_then_there_is_silence(
    audited_engine: MakeEngine, log: Log
) -> None:
    engine = audited_engine(heartbeat=0.1)
    with engine.begin() as connection:
        auditor_of(engine).write(connection, noted("business"))
    auditor_of(engine).commit(noted("read"))
    wait_until(lambda: any(len(b["chains"]) == 2 for b in log.bodies("chain.heartbeat")))
    chains = {chain.hex: records for chain, records in log.chains().items()}
    for head in log.bodies("chain.heartbeat")[-1]["chains"]:
        assert head["seq"] < len(chains[head["chain"]])
    count = len(log.bodies("chain.heartbeat"))
    time.sleep(0.4)
    assert len(log.bodies("chain.heartbeat")) == count, "a heartbeat is no reason for another"


def test_a_clock_that_jumps_back_leaves_the_chain_whole(
    engine: Engine, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(["2026-03-01T12:00:00.000000Z", "2025-03-01T12:00:00.000000Z"])
    monkeypatch.setattr("vaultdb.db.auditlog.auditor.timestamp", lambda: next(times))
    auditor_of(engine).commit(noted("first"))
    auditor_of(engine).commit(noted("second"))
    assert notes(log) == ["first", "second"]


def test_a_field_that_is_not_json_is_refused_before_it_stands_in_the_way_of_others(
    engine: Engine, log: Log
) -> None:
    auditor = auditor_of(engine)
    for give in (auditor.commit, auditor.add):
        with pytest.raises(ConfigurationError, match="cannot hold a float"):
            give(Event(NOTE, {"note": 1.5}, JONES))  # type: ignore[dict-item]
    with engine.begin() as connection, pytest.raises(ConfigurationError):
        auditor.write(connection, Event(NOTE, {"note": 1.5}, JONES))  # type: ignore[dict-item]
    auditor.commit(noted("fine"))
    assert notes(log) == ["fine"]


def test_an_event_too_large_for_the_log_is_refused_before_it_stands_in_the_way_of_others(
    engine: Engine, log: Log
) -> None:
    auditor = auditor_of(engine)
    auditor.commit(noted("x" * 65_000))
    with pytest.raises(ConfigurationError, match="of 65536 at most"):
        auditor.add(noted("x" * 65_536))
    assert len(notes(log)) == 1


def test_nobody_acts_for_the_configured_service_or_not_at_all(
    audited_engine: MakeEngine,
) -> None:
    assert auditor_of(audited_engine()).require(None).principal == "service"
    assert auditor_of(audited_engine()).require(JONES) is JONES
    with pytest.raises(PrincipalMissing, match="set principal in"):
        auditor_of(audited_engine(principal=None)).require(None)


def test_a_job_has_an_auditor_of_its_own(audited: Audited, log: Log) -> None:
    with open_auditor(audited()) as auditor:
        auditor.add(Event(NOTE, {"note": "job"}, operator()))
    assert log.bodies("test.noted")[0]["principal"].startswith("operator:")


def test_without_a_mode_nothing_is_recorded(audited_engine: MakeEngine, log: Log) -> None:
    engine = audited_engine(mode="off")
    auditor = runtime_of(engine.dialect).auditor
    auditor.commit(noted("nothing"))
    assert auditor.mode is AuditMode.OFF
    assert log.openings() == []
