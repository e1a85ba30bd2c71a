"""Events in a transaction of the application: they commit with it, or do not exist."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tests.fixtures.postgres import Database
from tests.integration.audit.conftest import Audited, Log
from tests.integration.audit.noting import MakeEngine, auditor_of, in_threads, noted, notes, sent
from vaultdb.engine import create_async_engine
from vaultdb.errors import AuditUnavailable

metadata = MetaData()
things = Table("things", metadata, Column("id", Integer, primary_key=True))


@pytest.fixture
def engine(audited_engine: MakeEngine, database: Database) -> Engine:
    database.create_all(metadata)
    return audited_engine()


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return len(connection.execute(select(things)).all())


def test_an_event_commits_with_its_transaction(engine: Engine, log: Log) -> None:
    with engine.begin() as connection:
        connection.execute(insert(things).values(id=1))
        auditor_of(engine).write(connection, noted("first"))
        assert log.openings() == [], "nothing is written before the COMMIT"
        auditor_of(engine).write(connection, noted("second"), noted("third"))
    assert notes(log) == ["first", "second", "third"]
    with log.database.connect() as plain:
        query = (
            "SELECT count(DISTINCT x) FROM (SELECT xmin::text AS x FROM things"
            " UNION SELECT xmin::text FROM vaultdb_audit.event) AS all_of_it"
        )
        assert plain.execute(query).fetchone() == (1,)


def test_a_rollback_takes_the_event_with_it(engine: Engine, log: Log) -> None:
    with engine.connect() as connection:
        auditor_of(engine).write(connection, noted("gone"))
        connection.execute(text("SELECT 1"))
        connection.rollback()
        auditor_of(engine).write(connection, noted("stays"))
        connection.commit()
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        auditor_of(engine).write(connection, noted("forgotten"))  # never committed
    with engine.begin() as connection:
        connection.execute(text("SELECT 1"))
    assert notes(log) == ["stays"]


def test_savepoints_take_only_their_own_events_with_them(engine: Engine, log: Log) -> None:
    write = auditor_of(engine).write
    with engine.begin() as connection:
        write(connection, noted("before"))
        outer = connection.begin_nested()
        write(connection, noted("outer, gone"))
        inner = connection.begin_nested()
        write(connection, noted("inner, released and gone"))
        inner.commit()
        outer.rollback()
        kept = connection.begin_nested()
        write(connection, noted("kept"))
        kept.commit()
        write(connection, noted("after"))
    assert notes(log) == ["before", "kept", "after"]


def test_an_outer_savepoint_can_be_rolled_back_over_the_head_of_an_inner_one(
    engine: Engine, log: Log
) -> None:
    with Session(engine) as session:
        write = auditor_of(engine).write
        session.execute(text("SELECT 1"))
        outer = session.begin_nested()
        write(session.connection(), noted("gone"))
        session.begin_nested()
        write(session.connection(), noted("gone, too"))
        outer.rollback()
        write(session.connection(), noted("stays"))
        session.commit()
    assert notes(log) == ["stays"]


def test_one_statement_writes_all_events_of_a_transaction(
    engine: Engine, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def transaction(*names: str) -> None:
        with engine.begin() as connection:
            connection.execute(text("SELECT 1"))
            auditor_of(engine).write(connection, *map(noted, names))

    transaction("opens the chain")
    counted = sent(monkeypatch)
    transaction()
    without = len(counted)
    transaction("one")
    transaction(*map(str, range(20)))
    assert len(counted) == 3 * without + 2


def test_transactions_one_after_another_continue_one_chain(engine: Engine, log: Log) -> None:
    for number in range(3):
        with engine.begin() as connection:
            auditor_of(engine).write(connection, noted(str(number)))
    assert notes(log) == ["0", "1", "2"]
    assert len(log.chains()) == 1


def test_a_commit_that_the_server_refuses_leaves_no_gap(
    engine: Engine, database: Database, log: Log
) -> None:
    with database.connect() as connection:
        connection.execute(
            "ALTER TABLE things ADD CONSTRAINT one_two UNIQUE (id) DEFERRABLE INITIALLY DEFERRED"
        )
        connection.execute("ALTER TABLE things DROP CONSTRAINT things_pkey")
    for ids in ([1], [2, 2], [3]):
        try:
            with engine.begin() as connection:
                for number in ids:
                    connection.execute(insert(things).values(id=number))
                auditor_of(engine).write(connection, noted(str(ids)))
        except IntegrityError:
            assert ids == [2, 2]
    assert notes(log) == ["[1]", "[3]"]
    assert len(log.chains()) == 1


def test_a_log_that_cannot_be_written_refuses_the_commit(
    engine: Engine, database: Database, log: Log
) -> None:
    with database.connect() as connection:
        connection.execute("REVOKE INSERT (mac) ON vaultdb_audit.event FROM vaultdb_rw")
    with (
        pytest.raises(AuditUnavailable, match="permission denied"),
        engine.begin() as connection,
    ):
        connection.execute(insert(things).values(id=1))
        auditor_of(engine).write(connection, noted("refused"))
    assert count(engine) == 0
    with database.connect() as connection:
        connection.execute("GRANT INSERT (mac) ON vaultdb_audit.event TO vaultdb_rw")
    with engine.begin() as connection:
        auditor_of(engine).write(connection, noted("works again"))
    assert notes(log) == ["works again"]


def test_a_trigger_that_swallows_rows_refuses_the_commit(
    engine: Engine, database: Database
) -> None:
    with database.connect() as connection:
        connection.execute(
            "CREATE FUNCTION vaultdb_audit.swallow() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NULL; END'"
        )
        connection.execute(
            "CREATE TRIGGER swallow BEFORE INSERT ON vaultdb_audit.event"
            " FOR EACH ROW EXECUTE FUNCTION vaultdb_audit.swallow()"
        )
    with engine.connect() as connection:
        connection.execute(insert(things).values(id=1))
        auditor_of(engine).write(connection, noted("refused"))
        with pytest.raises(AuditUnavailable, match="were stored"):
            connection.commit()
    with engine.begin() as connection:  # the same one, from the pool
        assert connection.execute(select(things)).all() == []


def test_in_autocommit_an_event_is_written_at_once(engine: Engine, log: Log) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        auditor_of(engine).write(connection, noted("at once"))
        assert notes(log) == ["at once"]
        auditor_of(engine).write(connection, noted("again"))
    assert notes(log) == ["at once", "again"]


def test_a_session_commits_its_events(engine: Engine, log: Log) -> None:
    with Session(engine) as session, session.begin():
        auditor_of(engine).write(session.connection(), noted("session"))
    assert notes(log) == ["session"]


def test_an_async_session_commits_its_events_and_rolls_them_back(
    audited: Audited, database: Database, log: Log
) -> None:
    database.create_all(metadata)
    engine = create_async_engine(settings=audited())

    async def work() -> None:
        async with AsyncSession(engine) as session:
            connection = await session.connection()
            auditor_of(engine).write(connection.sync_connection, noted("kept"))
            nested = await session.begin_nested()
            connection = await session.connection()
            auditor_of(engine).write(connection.sync_connection, noted("gone with the savepoint"))
            await nested.rollback()
            await session.commit()
        async with AsyncSession(engine) as session:
            connection = await session.connection()
            auditor_of(engine).write(connection.sync_connection, noted("gone with the session"))
            await session.rollback()
        async with engine.connect() as plain:
            await plain.run_sync(lambda _sync: auditor_of(engine).commit(noted("read")))
            await plain.execution_options(isolation_level="AUTOCOMMIT")
            await plain.run_sync(lambda sync: auditor_of(engine).write(sync, noted("at once")))
        await engine.dispose()

    asyncio.run(work())
    assert sorted(notes(log)) == ["at once", "kept", "read"]
    assert len(log.bodies("chain.closed")) == 2


def test_a_commit_of_the_log_lets_the_event_loop_go_on(
    audited: Audited, database: Database
) -> None:
    engine = create_async_engine(settings=audited())
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    async def work() -> None:
        ticking = asyncio.create_task(tick())
        async with engine.connect() as connection:
            await connection.run_sync(lambda _sync: auditor_of(engine).commit(noted("first")))
            with database.connect() as plain, plain.transaction():
                plain.execute("LOCK TABLE vaultdb_audit.event")
                before = ticks
                commit = asyncio.create_task(
                    connection.run_sync(lambda _sync: auditor_of(engine).commit(noted("slow")))
                )
                await asyncio.sleep(0.3)
                assert not commit.done()
                assert ticks > before + 10
            await commit
        ticking.cancel()
        await engine.dispose()

    asyncio.run(work())


def test_events_of_a_prepared_transaction_are_written_with_its_first_phase(
    server_folder: object, audited: Audited, database: Database, engine: Engine, log: Log
) -> None:
    with database.connect() as connection:
        row = connection.execute("SHOW max_prepared_transactions").fetchone()
    assert row is not None
    if row == ("0",):
        pytest.skip("the shared server has no prepared transactions")
    with engine.connect() as connection:
        transaction = connection.begin_twophase()
        connection.execute(insert(things).values(id=1))
        auditor_of(engine).write(connection, noted("prepared"))
        transaction.prepare()
        transaction.commit()
        transaction = connection.begin_twophase()
        auditor_of(engine).write(connection, noted("prepared and rolled back"))
        transaction.prepare()
        transaction.rollback()
        transaction = connection.begin_twophase()
        auditor_of(engine).write(connection, noted("in one phase"))
        transaction.commit()
    assert sorted(notes(log)) == ["in one phase", "prepared"]


def test_an_interrupted_commit_ends_its_chain(
    engine: Engine, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether the server has carried it out."""
    auditor = auditor_of(engine)
    with engine.begin() as connection:
        auditor.write(connection, noted("before"))
    commit = engine.dialect.do_commit
    with engine.connect() as connection:
        auditor.write(connection, noted("perhaps"))
        driver = connection.connection.driver_connection
        monkeypatch.setattr(driver, "commit", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            connection.commit()
    assert commit == engine.dialect.do_commit
    with engine.begin() as connection:
        auditor.write(connection, noted("after"))
    assert sorted(notes(log)) == ["after", "before"]
    assert len(log.chains()) == 2


def test_sixteen_threads_with_rollbacks_and_savepoints_yield_whole_chains(
    audited_engine: MakeEngine, database: Database, log: Log
) -> None:
    database.create_all(metadata)
    engine = audited_engine(
        options={"pool_size": 8, "max_overflow": 8}, heartbeat=0.05, chain_age=0.3
    )
    auditor = auditor_of(engine)
    expected: list[str] = []
    lock = threading.Lock()

    def work(thread: int) -> None:
        for number in range(12):
            name = f"{thread}-{number}"
            with engine.connect() as connection:
                connection.execute(insert(things).values(id=thread * 100 + number))
                auditor.write(connection, noted(name))
                with connection.begin_nested():
                    auditor.write(connection, noted(f"{name}-inner"))
                    nested = connection.begin_nested()
                    auditor.write(connection, noted(f"{name}-gone"))
                    nested.rollback()
                auditor.commit(noted(f"{name}-read"))
                auditor.add(noted(f"{name}-finished"))
                kept = [f"{name}-read", f"{name}-finished"]
                if number % 3:
                    connection.commit()
                    kept += [name, f"{name}-inner"]
                else:
                    connection.rollback()
            with lock:
                expected.extend(kept)

    in_threads(16, work)
    engine.dispose()
    assert sorted(notes(log)) == sorted(expected)
    last = {chain.hex: len(records) - 1 for chain, records in log.chains().items()}
    for beat in log.bodies("chain.heartbeat"):
        assert all(head["seq"] <= last[head["chain"]] for head in beat["chains"])


def _interrupt() -> None:
    raise KeyboardInterrupt
