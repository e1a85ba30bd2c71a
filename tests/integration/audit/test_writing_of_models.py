"""Encrypted models, the ORM's hooks and the log together, on a real database."""

from __future__ import annotations

import asyncio
import threading
import uuid

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.fixtures.postgres import Database
from tests.integration.audit.conftest import Audited, Log
from tests.integration.audit.noting import MakeEngine, auditor_of, in_threads, sent, wait_until
from vaultdb import acting_as, encrypted
from vaultdb.engine import create_async_engine
from vaultdb.errors import AuditUnavailable, PrincipalMissing


class Base(DeclarativeBase):
    pass


class Visit(Base):
    __tablename__ = "audited_visit"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    reason: Mapped[str] = encrypted(str)


@pytest.fixture(autouse=True)
def tables(database: Database) -> None:
    database.create_all(Base.metadata)


def add(engine: Engine, *reasons: str) -> None:
    with Session(engine) as session, acting_as("nurse"):
        session.add_all(Visit(reason=reason) for reason in reasons)
        session.commit()


def read(engine: Engine) -> list[str]:
    with Session(engine) as session, acting_as("dr-jones", purpose="treatment"):
        return list(session.scalars(select(Visit.reason)))


def test_a_write_and_a_read_are_in_the_log(audited_engine: MakeEngine, log: Log) -> None:
    engine = audited_engine()
    add(engine, "cough", "fever")
    assert sorted(read(engine)) == ["cough", "fever"]
    engine.dispose()
    (written,) = log.bodies("data.written")
    (intent,) = log.bodies("data.read")
    (finished,) = log.bodies("data.read-finished")
    assert (written["principal"], written["rows"]) == ("nurse", 2)
    assert (intent["principal"], intent["purpose"]) == ("dr-jones", "treatment")
    assert (finished["of"], finished["rows"]) == (intent["id"], 2)
    assert sorted(finished["keys"]) == sorted(written["keys"])
    assert "cough" not in str(log.chains())


def test_a_strict_read_costs_one_round_trip_and_a_relaxed_one_none(
    audited_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {}
    for mode in ("off", "strict", "relaxed"):
        engine = audited_engine(mode=mode, flush_after=60.0)
        add(engine, mode)
        read(engine)
        with pytest.MonkeyPatch.context() as patched:
            counted = sent(patched)
            read(engine)
            counts[mode] = len(counted)
    assert counts["strict"] == counts["off"] + 1
    assert counts["relaxed"] == counts["off"]


def test_a_strict_read_is_refused_before_its_select_when_the_log_cannot_be_written(
    audited_engine: MakeEngine, database: Database
) -> None:
    engine = audited_engine()
    add(engine, "cough")
    assert read(engine) == ["cough"]
    statements: list[str] = []
    event.listen(
        engine, "after_cursor_execute", lambda _c, _k, statement, *_: statements.append(statement)
    )
    with database.connect() as connection:
        connection.execute("REVOKE INSERT (mac) ON vaultdb_audit.event FROM vaultdb_rw")
    with pytest.raises(AuditUnavailable):
        read(engine)
    assert not [statement for statement in statements if "audited_visit" in statement]
    with pytest.raises(AuditUnavailable):
        add(engine, "refused")
    with database.connect() as connection:
        connection.execute("GRANT INSERT (mac) ON vaultdb_audit.event TO vaultdb_rw")
    assert read(engine) == ["cough"]


def test_a_relaxed_read_goes_on_while_the_log_cannot_be_written(
    audited_engine: MakeEngine, database: Database, log: Log
) -> None:
    engine = audited_engine(mode="relaxed")
    add(engine, "cough")
    with database.connect() as connection:
        connection.execute("REVOKE INSERT (mac) ON vaultdb_audit.event FROM vaultdb_rw")
        assert read(engine) == ["cough"]
        connection.execute("GRANT INSERT (mac) ON vaultdb_audit.event TO vaultdb_rw")
    engine.dispose()
    assert len(log.bodies("data.read")) == 1


def test_nobody_reads_without_a_name(audited_engine: MakeEngine) -> None:
    engine = audited_engine(principal=None)
    add(engine, "cough")
    with Session(engine) as session, pytest.raises(PrincipalMissing):
        session.scalars(select(Visit.reason)).all()


def test_an_async_session_reads_and_writes(audited: Audited, log: Log) -> None:
    engine = create_async_engine(settings=audited())

    async def work() -> list[str]:
        async with AsyncSession(engine) as session:
            with acting_as("nurse"):
                session.add(Visit(reason="cough"))
                await session.commit()
                found = list(await session.scalars(select(Visit.reason)))
        await engine.dispose()
        return found

    assert asyncio.run(work()) == ["cough"]
    assert len(log.bodies("data.written")) == len(log.bodies("data.read")) == 1


def test_threads_that_read_and_write_are_all_in_the_log(
    audited_engine: MakeEngine, log: Log
) -> None:
    engine = audited_engine(options={"pool_size": 8}, heartbeat=0.1)
    add(engine, "first")
    lock = threading.Lock()
    reads = 0

    def work(thread: int) -> None:
        nonlocal reads
        for number in range(5):
            add(engine, f"{thread}-{number}")
            read(engine)
            with lock:
                reads += 1

    in_threads(8, work)
    wait_until(lambda: auditor_of(engine).spooled == 0)
    engine.dispose()
    assert len(log.bodies("data.written")) == 41
    assert len(log.bodies("data.read")) == len(log.bodies("data.read-finished")) == reads
