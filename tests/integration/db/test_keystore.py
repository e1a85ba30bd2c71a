"""The key table in PostgreSQL: committed, raced for, compared with the realm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tests.fixtures.postgres import REALM, Database, Postgres
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.errors import ConfigurationError, KeyUnavailable, SchemaError
from vaultdb.keys.store import KeyStore
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose, WrappedKey
from vaultdb.settings import DatabaseSettings

SCOPE = KeyScope("acme", "default", Purpose.DATA)


def key(version: int = 1, scope: KeyScope = SCOPE) -> WrappedKey:
    return WrappedKey(
        os.urandom(16), REALM, scope, version, KeyState.ACTIVE, 1, f"vault:v1:{os.urandom(8).hex()}"
    )


def settings(url: str, **values: Any) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"url": url, **values})


@pytest.fixture
def officer(database: Database) -> Iterator[PostgresKeyStore]:
    store = PostgresKeyStore(settings(database.officer_url))
    yield store
    store.close()


@pytest.fixture
def app(database: Database) -> Iterator[PostgresKeyStore]:
    store = PostgresKeyStore(settings(database.url))
    yield store
    store.close()


def test_it_is_a_key_store(app: PostgresKeyStore) -> None:
    assert isinstance(app, KeyStore)


def test_what_the_officer_adds_the_application_reads(
    officer: PostgresKeyStore, app: PostgresKeyStore
) -> None:
    first, second = key(1), key(2)
    index = key(scope=KeyScope("acme", "default", Purpose.INDEX))
    for each in (first, second, index):
        assert officer.insert(each) == each
    assert list(app.by_scopes(REALM, [SCOPE])) == [first, second]
    assert set(app.by_ids(REALM, [first.key_id, index.key_id, b"?" * 16])) == {first, index}
    assert len(app.all(REALM)) == 3


def test_asking_for_nothing_finds_nothing(app: PostgresKeyStore) -> None:
    assert list(app.by_ids(REALM, [])) == []
    assert list(app.by_scopes(REALM, [])) == []


def test_the_loser_of_a_race_gets_the_winners_key(officer: PostgresKeyStore) -> None:
    candidates = [key() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        winners = list(threads.map(officer.insert, candidates))
    assert len({winner.key_id for winner in winners}) == 1
    assert list(officer.by_scopes(REALM, [SCOPE])) == [winners[0]]


def test_destroyed_keys_are_found_by_id_only(database: Database, officer: PostgresKeyStore) -> None:
    gone = officer.insert(key())
    with database.connect() as connection:
        connection.execute("UPDATE vaultdb.data_key SET state = 'destroyed', wrapped = ''")
    assert list(officer.by_scopes(REALM, [SCOPE])) == []
    assert officer.by_ids(REALM, [gone.key_id])[0].state is KeyState.DESTROYED
    with pytest.raises(ConfigurationError, match="was not stored"):
        officer.insert(key())


def test_the_application_may_not_add_keys(app: PostgresKeyStore) -> None:
    with pytest.raises(ConfigurationError, match="cannot add a data key: permission denied"):
        app.insert(key())


def test_another_realm_is_refused_at_the_first_call(app: PostgresKeyStore) -> None:
    with pytest.raises(SchemaError, match=f"belongs to realm {REALM}, the settings say"):
        app.by_scopes(uuid4(), [SCOPE])


def test_a_database_without_schema_names_the_command(postgres: Postgres) -> None:
    empty = postgres.create_database(template="template0")
    try:
        store = PostgresKeyStore(settings(empty.url))
        with pytest.raises(SchemaError, match=r"not been migrated.*run: vaultdb migrate up"):
            store.by_scopes(REALM, [SCOPE])
        store.close()
    finally:
        postgres.drop_database(empty.name)


def test_an_outage_may_pass_and_does(own_postgres: Postgres) -> None:
    database = own_postgres.create_database()
    store = PostgresKeyStore(settings(database.officer_url))
    stored = store.insert(key())
    own_postgres.faults.stop()
    with pytest.raises(KeyUnavailable, match="cannot read the key table") as caught:
        store.by_ids(REALM, [stored.key_id])
    assert caught.value.__suppress_context__
    own_postgres.faults.start()
    assert list(store.by_ids(REALM, [stored.key_id])) == [stored]
    store.close()


def test_a_wrong_password_is_a_plain_line(database: Database) -> None:
    store = PostgresKeyStore(settings(database.url, password="wrong"))
    url = database.url.replace("vaultdb_app:", "vaultdb_app:wrong-")
    with pytest.raises(
        KeyUnavailable, match='password authentication failed for user "vaultdb_app"'
    ):
        PostgresKeyStore(settings(url)).by_scopes(REALM, [SCOPE])
    with pytest.raises(KeyUnavailable, match="VAULTDB_PASSWORD_FILE"):
        store.by_scopes(REALM, [SCOPE])


def test_a_child_does_not_touch_its_parents_connections(app: PostgresKeyStore) -> None:
    app.by_scopes(REALM, [SCOPE])
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            app.by_scopes(REALM, [SCOPE])
            app.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert list(app.by_scopes(REALM, [SCOPE])) == []


def test_a_changed_wrapping_is_another_row_value(officer: PostgresKeyStore) -> None:
    stored = officer.insert(key())
    assert replace(stored, wrapped="x") != stored


def test_only_postgresql_can_hold_the_key_table() -> None:
    with pytest.raises(ConfigurationError, match=r'needs PostgreSQL.*keys = "memory"'):
        PostgresKeyStore(settings("sqlite://"))
