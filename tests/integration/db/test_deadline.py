"""A PostgreSQL that has stopped to answer holds nobody up for ever."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from tests.fixtures.postgres import REALM, Database, Postgres
from vaultdb.db.keystore import POOL_SIZE, PostgresKeyStore
from vaultdb.errors import KeyUnavailable
from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.settings import DatabaseSettings

SCOPE = KeyScope("", "default", Purpose.DATA)
TIMEOUT = 1.0


def new_store(url: str, timeout: float | None = TIMEOUT) -> PostgresKeyStore:
    values = {"url": url, "connect_timeout": 2}
    return PostgresKeyStore(DatabaseSettings.model_validate(values), answer_timeout=timeout)


@pytest.fixture
def store(database: Database) -> Iterator[PostgresKeyStore]:
    store = new_store(database.url)
    yield store
    store.close()


@contextmanager
def frozen_connection(store: PostgresKeyStore) -> Iterator[None]:
    """Freeze the server's end of the one pooled connection, as when its machine has vanished."""
    with store.engine.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_pooled_connection_that_nobody_answers_on_is_replaced(store: PostgresKeyStore):
    with frozen_connection(store):
        start = time.monotonic()
        assert list(store.by_scopes(REALM, [SCOPE])) == []
        assert TIMEOUT <= time.monotonic() - start < 5 * TIMEOUT
        start = time.monotonic()
        assert list(store.by_scopes(REALM, [SCOPE])) == []
        assert time.monotonic() - start < TIMEOUT


def test_a_frozen_server_is_an_outage_and_over_when_it_goes_on(own_postgres: Postgres):
    store = new_store(own_postgres.create_database().url)
    store.by_scopes(REALM, [SCOPE])
    with own_postgres.faults.frozen():
        start = time.monotonic()
        with pytest.raises(KeyUnavailable, match="cannot read the key table: "):
            store.by_scopes(REALM, [SCOPE])
        assert time.monotonic() - start < 10
    assert list(store.by_scopes(REALM, [SCOPE])) == []
    store.close()


def test_a_statement_that_takes_too_long_is_an_outage(store: PostgresKeyStore):
    refused = pytest.raises(KeyUnavailable, match="did not answer in 1 s")
    with refused, store.connection(REALM, "read the key table") as connection:
        connection.execute(text("SELECT pg_sleep(20)"))
    assert list(store.by_scopes(REALM, [SCOPE])) == []


def test_a_job_is_given_the_time_that_it_takes(database: Database):
    store = new_store(database.url, timeout=None)
    with store.connection(REALM, "count") as connection:
        connection.execute(text("SELECT pg_sleep(1.5)"))
    store.close()


def test_more_callers_than_connections_wait_and_then_hear_of_an_outage(store: PostgresKeyStore):
    def hold(_: int) -> None:
        with store.connection(REALM, "wait") as connection:
            connection.execute(text("SELECT pg_sleep(0.9)"))
            time.sleep(2.5 * TIMEOUT)

    with ThreadPoolExecutor(2 * POOL_SIZE) as pool:
        holders = [pool.submit(hold, number) for number in range(2 * POOL_SIZE)]
        time.sleep(0.8)
        with pytest.raises(KeyUnavailable, match="all connections for that are busy"):
            store.by_scopes(REALM, [SCOPE])
        for holder in holders:
            holder.result()
    assert list(store.by_scopes(REALM, [SCOPE])) == []
