"""An engine that reads a replica, with its key table and its leases on the primary."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from tests.fixtures.leasing import Leasing, lease_logins
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Postgres
from tests.fixtures.standby import standby_of
from tests.integration.leases.conftest import Leased
from tests.unit.keys.support import eventually
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.dev.postgres import PostgresServer
from vaultdb.settings import Settings


@pytest.fixture
def leasing(own_postgres: Postgres, openbao: OpenBao) -> Iterator[Leasing]:
    with lease_logins(openbao, own_postgres.create_database()) as ready:
        yield ready


@pytest.fixture
def replica(own_postgres: Postgres, leasing: Leasing, server_folder: Path) -> Iterator[Any]:
    """A streaming replica of a server of our own."""
    with standby_of(own_postgres, server_folder) as server:
        yield server


@pytest.fixture
def subject(leasing: Leasing, replica: PostgresServer) -> Iterator[Leased]:
    """An engine on the replica."""
    with closing(Leased(settings_on(leasing, replica))) as made:
        yield made


def settings_on(leasing: Leasing, replica: PostgresServer) -> Settings:
    primary = leasing.database.postgres.port
    url = leasing.url.replace(f":{primary}/", f":{replica.port}/")
    return leasing.settings(database={"url": url, "primary_url": leasing.url})


def test_an_engine_on_a_replica_works_however_far_that_is_behind(
    leasing: Leasing, replica: PostgresServer, subject: Leased
) -> None:
    first = subject.user()
    with subject.engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_is_in_recovery()")) is True

    with paused(replica, leasing.database.name) as resume:
        add_key(leasing)
        settings = settings_on(leasing, replica)
        with closing(PostgresKeyStore(settings, credentials=subject.credentials)) as store:
            assert len(store.all(leasing.database.realm)) == 1, "keys come from the primary"
        with subject.engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM vaultdb.data_key")) == 0

        keeper = subject.credentials.client._keeper
        keeper._log_in(instead_of=keeper._token)
        assert eventually(lambda: subject.counters.issued == 2)
        threading.Timer(0.5, resume).start()
        assert subject.user() != first, "tried again until the replica knows the new login"
    assert (subject.counters.issued, subject.counters.forced) == (2, 0)


def add_key(leasing: Leasing) -> None:
    add = (
        "INSERT INTO vaultdb.data_key (key_id, realm, tenant, keyset, purpose, version, state,"
        " kek_version, wrapped) VALUES (%s, %s, '', 'default', 'data', 1, 'active', 1, %s)"
    )
    with leasing.database.connect() as connection:
        connection.execute(add, [b"k" * 16, leasing.database.realm, "vault:v1:" + "A" * 80])


@contextmanager
def paused(replica: PostgresServer, database: str) -> Iterator[Callable[[], None]]:
    """Let the replica fall behind, until what is given is called."""

    def ask(function: str) -> None:
        with psycopg.connect(replica.conninfo(database), autocommit=True) as admin:
            admin.execute(f"SELECT {function}()")  # type: ignore[arg-type]

    ask("pg_wal_replay_pause")
    try:
        yield lambda: ask("pg_wal_replay_resume")
    finally:
        ask("pg_wal_replay_resume")
