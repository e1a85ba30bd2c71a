"""The audit log behind leased logins, beside a replica, and while Vault is sealed."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vaultdb
from tests.fixtures.leasing import Leasing, lease_logins
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database, Postgres
from tests.fixtures.standby import standby_of
from tests.unit.keys.support import eventually
from vaultdb import encrypted
from vaultdb.dev.postgres import PostgresServer
from vaultdb.errors import AuditUnavailable
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.settings import Settings
from vaultdb.vault.providers.memory import MemoryProvider

IN_TIME = 8.0
"""Seconds within which a read is refused while Vault is sealed."""
RECORDS = (
    "SELECT c.login, c.chain, e.body FROM vaultdb_audit.event e JOIN vaultdb_audit.chain c"
    " USING (chain) ORDER BY e.recorded_at, e.seq"
)


class Base(DeclarativeBase):
    pass


class Patient(Base):
    __tablename__ = "patient"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = encrypted(str)


MakeEngine = Callable[[Settings], Engine]


@pytest.fixture
def leasing(openbao: OpenBao, database: Database) -> Iterator[Leasing]:
    """Not the module's: the log of this test alone."""
    with lease_logins(openbao, database) as ready:
        yield ready


@pytest.fixture
def keyring(realm: UUID) -> Iterator[Keyring]:
    made = Keyring(
        realm=realm,
        provider=MemoryProvider(),
        store=MemoryKeyStore(),
        create_keys=True,
    )
    yield made
    made.close()


@pytest.fixture
def new_engine(keyring: Keyring) -> Iterator[MakeEngine]:
    """Return a function that makes engines, with data keys in memory and the log's in Vault."""
    made: list[Engine] = []

    def make(settings: Settings) -> Engine:
        made.append(vaultdb.create_engine(settings=settings, keyring=keyring))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def records(database: Database) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return the login, the chain and the body of each record."""
    with database.connect() as connection:
        rows = connection.execute(RECORDS).fetchall()
    return [(login, chain, json.loads(body)) for login, chain, body in rows]


def reads(database: Database) -> list[str]:
    """Return who announced each read, by database login."""
    return [login for login, _, body in records(database) if body["event"] == "data.read"]


def names(engine: Engine) -> list[str]:
    with Session(engine) as session:
        return list(session.scalars(select(Patient.name)))


def add_patient(engine: Engine, number: int) -> None:
    with Session(engine) as session, session.begin():
        session.add(Patient(id=number, name="Ada"))


def test_each_login_that_vault_leases_has_chains_of_its_own(
    leasing: Leasing, new_engine: MakeEngine
) -> None:
    database = leasing.database
    database.create_all(Base.metadata)
    engine = new_engine(leasing.settings(audit={"principal": "tests", "mode": "strict"}))
    add_patient(engine, 1)
    assert names(engine) == ["Ada"]
    (first,) = reads(database)
    assert first.startswith("v_")

    leasing.revoke_all()  # a transaction on a login that is gone is lost, and so is its event
    deadline = time.monotonic() + 20
    while len(reads(database)) < 2 and time.monotonic() < deadline:
        with suppress(Exception):
            names(engine)
    second = reads(database)[-1]

    assert second.startswith("v_")
    assert second != first
    by_chain = {chain: login for login, chain, _ in records(database)}
    assert {first, second} <= set(by_chain.values())
    for login, chain, body in records(database):
        assert by_chain[chain] == login == body["login"]


@pytest.fixture
def own_server_leasing(own_postgres: Postgres, openbao: OpenBao) -> Iterator[Leasing]:
    with lease_logins(openbao, own_postgres.create_database()) as ready:
        yield ready


@pytest.fixture
def replica(
    own_postgres: Postgres, own_server_leasing: Leasing, server_folder: Path
) -> Iterator[PostgresServer]:
    with standby_of(own_postgres, server_folder) as server:
        yield server


def test_what_a_replica_reads_is_recorded_on_the_primary_before_it_is_released(
    own_server_leasing: Leasing, replica: PostgresServer, new_engine: MakeEngine
) -> None:
    leasing, database = own_server_leasing, own_server_leasing.database
    database.create_all(Base.metadata)
    strict = {"principal": "tests", "mode": "strict"}
    add_patient(new_engine(leasing.settings(audit=strict)), 1)
    url = leasing.url.replace(f":{database.postgres.port}/", f":{replica.port}/")
    there = {"url": url, "primary_url": leasing.url}
    engine = new_engine(leasing.settings(database=there, audit=strict))
    assert eventually(lambda: names(engine) == ["Ada"])
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_catalog.pg_is_in_recovery()")) is True

    before = len(reads(database))
    seen: list[int] = []
    event.listen(engine, "after_cursor_execute", lambda *_: seen.append(len(reads(database))))
    assert names(engine) == ["Ada"]
    assert seen == [before + 1]

    with database.connect() as connection:
        connection.execute("REVOKE INSERT (mac) ON vaultdb_audit.event FROM vaultdb_rw")
    with pytest.raises(AuditUnavailable):
        names(engine)


def test_a_sealed_vault_stops_who_has_no_chain_and_nobody_else(
    own_leasing: Leasing, own_openbao: OpenBao, new_engine: MakeEngine
) -> None:
    database = own_leasing.database
    database.create_all(Base.metadata)
    settings = own_leasing.settings(
        database={"url": database.url, "lease": None},
        audit={"principal": "tests", "mode": "strict"},
    )
    open_before = new_engine(settings)
    add_patient(open_before, 1)
    assert names(open_before) == ["Ada"]
    numbers = itertools.count(2)

    def is_refused(work: Callable[[Engine], object]) -> bool:
        """Seal Vault, which unseals itself again after some seconds, and try."""
        own_openbao.admin.write("sys/seal")
        assert "Ada" in names(open_before)
        add_patient(open_before, next(numbers))
        engine = new_engine(settings)
        began = time.monotonic()
        try:
            work(engine)
        except AuditUnavailable as error:
            assert time.monotonic() < began + IN_TIME
            own_openbao.faults.restart()  # the key is in its settings: starting it unseals it
            assert eventually(lambda: works(engine), 20.0)
            return "sealed" in str(error)
        return False

    assert any(is_refused(names) for _ in range(5))
    assert any(is_refused(lambda engine: add_patient(engine, next(numbers))) for _ in range(5))


def works(engine: Engine) -> bool:
    try:
        names(engine)
    except AuditUnavailable:
        return False
    return True


def test_a_task_that_is_cancelled_in_a_strict_read_leaves_the_log_whole(
    leasing: Leasing, keyring: Keyring
) -> None:
    database = leasing.database
    database.create_all(Base.metadata)

    async def main() -> None:
        engine = vaultdb.create_async_engine(
            settings=leasing.settings(
                database={"url": database.url, "lease": None},
                audit={"principal": "tests", "mode": "strict"},
            ),
            keyring=keyring,
        )

        async def read() -> None:
            async with engine.connect() as connection:
                await connection.execute(select(Patient.name))

        try:
            await read()
            for pause in range(30):
                task = asyncio.ensure_future(read())
                await asyncio.sleep(pause / 5_000)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await read()
        finally:
            await engine.dispose()

    asyncio.run(main())
    gc.collect()  # connections whose handshake was cancelled are closed by nobody else
    by_chain: dict[Any, int] = {}
    with database.connect() as connection:
        for chain, count, last in connection.execute(
            "SELECT chain, count(*), max(seq) FROM vaultdb_audit.event GROUP BY chain"
        ):
            by_chain[chain] = count
            assert last == count - 1, "no gap"
    assert sum(by_chain.values()) > 2
