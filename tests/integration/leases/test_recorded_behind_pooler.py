"""The audit log through PgBouncer in transaction mode, where a session's settings mean nothing."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import vaultdb
from tests.fixtures.postgres import Database
from tests.integration.audit.conftest import Log
from tests.integration.audit.noting import in_threads
from tests.integration.leases.pooler import pgbouncer, program
from vaultdb import encrypted
from vaultdb.db.connect import TransportWarning
from vaultdb.engine.auditing import memory_audit_keys
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.settings import Settings
from vaultdb.vault.providers.memory import MemoryProvider

pytestmark = [
    pytest.mark.skipif(program() is None, reason="pgbouncer is not installed (apt install it)"),
    pytest.mark.filterwarnings("ignore::vaultdb.db.connect.TransportWarning"),
]

POOLED = 4
"""Connections that the pooler has to the server."""


class Base(DeclarativeBase):
    pass


class Patient(Base):
    __tablename__ = "patient"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = encrypted(str)


@pytest.fixture
def keyring(realm: UUID) -> Iterator[Keyring]:
    made = Keyring(realm=realm, provider=MemoryProvider(), store=MemoryKeyStore(), create_keys=True)
    yield made
    made.close()


@pytest.fixture
def log(database: Database) -> Log:
    database.create_all(Base.metadata)
    return Log(database, memory_audit_keys(database.realm, "app"))


@pytest.fixture
def pooler(log: Log, database: Database, server_folder: Path) -> Iterator[int]:
    """The port of one in front of the database."""
    with pgbouncer(database, server_folder / f"pgbouncer-{secrets.token_hex(4)}") as port:
        yield port


@contextmanager
def engine_of(
    database: Database,
    login: str,
    port: int,
    keyring: Keyring,
    *,
    apart: bool = False,
    **audit: Any,
) -> Iterator[Engine]:
    """Connect a login through a port, with an audit log."""
    url = database.url_for(login)
    settings = Settings(
        realm=database.realm,
        keys="memory",
        database={
            "url": SecretStr(_through(url, database, port)),
            "pooler": "none" if port == database.postgres.port else "pgbouncer",
            "primary_url": SecretStr(url) if apart else None,
        },
        audit={"mode": "strict", "principal": "tests"} | audit,
    )
    engine = vaultdb.create_engine(settings=settings, keyring=keyring)
    try:
        yield engine
    finally:
        engine.dispose()


def _through(url: str, database: Database, port: int) -> str:
    url = url.replace(f":{database.postgres.port}/", f":{port}/")
    return url if port == database.postgres.port else url.replace("&channel_binding=require", "")


@pytest.mark.parametrize("mode", ["strict", "relaxed"])
def test_what_a_login_that_may_not_write_reads_is_recorded_on_whatever_connection(
    database: Database, log: Log, pooler: int, keyring: Keyring, mode: str
) -> None:
    direct = engine_of(database, "vaultdb_app", database.postgres.port, keyring)
    with direct as engine, engine.begin() as connection:
        connection.execute(insert(Patient), [{"id": 1, "name": "Ada"}])
    login = "vaultdb_app_read"
    conninfo = _through(database.url_for(login), database, pooler)
    with engine_of(database, login, pooler, keyring, mode=mode) as engine, ExitStack() as held:
        for _ in range(POOLED - 1):
            with engine.connect() as connection:
                assert connection.scalars(select(Patient.name)).all() == ["Ada"]
            # Take a connection of the pooler away; those of the log meet another one now.
            other = held.enter_context(psycopg.connect(conninfo, autocommit=False))
            other.execute("SELECT 1")
            (read_only,) = other.execute("SHOW default_transaction_read_only").fetchone() or ()
            assert read_only == "on", "the log changes nothing for others of the same login"
    events = [body["event"] for body in log.bodies() if body["login"] == login]
    assert events.count("data.read") == events.count("data.read-finished") == POOLED - 1


def test_sixteen_threads_share_four_sessions_while_the_log_has_its_own(
    database: Database, log: Log, pooler: int, keyring: Keyring
) -> None:
    with engine_of(database, "vaultdb_app", pooler, keyring, apart=True) as engine:

        def work(number: int) -> None:
            for part in range(5):
                with engine.begin() as connection:
                    key = number * 100 + part
                    connection.execute(insert(Patient), [{"id": key, "name": "Ada"}])
                    one = select(Patient.name).where(Patient.id == key)
                    assert connection.scalars(one).all() == ["Ada"]

        in_threads(16, work)
    events = [body["event"] for body in log.bodies()]
    assert events.count("data.written") == events.count("data.read") == 80


def test_sessions_that_the_log_has_to_share_are_warned_of(
    database: Database, keyring: Keyring
) -> None:
    def warnings(**changes: Any) -> list[str]:
        engine = engine_of(database, "vaultdb_app", 6432, keyring, **changes)
        with pytest.warns(TransportWarning) as found, engine:
            pass
        return [str(each.message) for each in found if "wait for each other" in str(each.message)]

    (text,) = warnings()
    assert "set database.primary_url" in text
    assert warnings(apart=True) == warnings(mode="relaxed") == []
