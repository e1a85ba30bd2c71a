"""States of data keys: restricted once, never given back, as the rotator and nobody else."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest

from tests.fixtures.postgres import REALM, Database
from vaultdb.db.key_states import ORDER, KeyStates
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.errors import ConfigurationError
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose, WrappedKey
from vaultdb.settings import DatabaseSettings

DATA = KeyScope("acme", "default", Purpose.DATA)
INDEX = KeyScope("acme", "default", Purpose.INDEX)


def key(scope: KeyScope = DATA, version: int = 1, state: KeyState = KeyState.ACTIVE) -> WrappedKey:
    return WrappedKey(os.urandom(16), REALM, scope, version, state, 1, "vault:v1:AAAA")


@pytest.fixture
def officer(database: Database) -> Iterator[PostgresKeyStore]:
    store = PostgresKeyStore(DatabaseSettings.model_validate({"url": database.officer_url}))
    yield store
    store.close()


@pytest.fixture
def rotator(database: Database) -> Iterator[PostgresKeyStore]:
    store = PostgresKeyStore(DatabaseSettings.model_validate({"url": database.rotator_url}))
    yield store
    store.close()


def restrict(store: PostgresKeyStore, ids: Collection[bytes], state: KeyState) -> frozenset[bytes]:
    with store.connection(REALM, "restrict a data key") as connection:
        return KeyStates(connection, REALM).restrict(ids, state)


def promote(store: PostgresKeyStore, ids: Collection[bytes]) -> frozenset[bytes]:
    with store.connection(REALM, "promote an index key") as connection:
        return KeyStates(connection, REALM).promote(ids)


def states(store: PostgresKeyStore) -> dict[bytes, KeyState]:
    return {row.key_id: row.state for row in store.all(REALM)}


def test_a_state_is_restricted_once_and_says_which_keys_changed(
    database: Database, officer: PostgresKeyStore, rotator: PostgresKeyStore
) -> None:
    first, second, other = officer.insert_all(REALM, [key(), key(version=2), key(INDEX)])
    ids = [first.key_id, second.key_id, b"?" * 16]
    assert restrict(rotator, ids[:1], KeyState.DISABLED) == {first.key_id}
    assert restrict(rotator, ids, KeyState.DECRYPT_ONLY) == {second.key_id}
    assert restrict(rotator, ids, KeyState.DECRYPT_ONLY) == frozenset()
    assert states(officer) == {
        first.key_id: KeyState.DISABLED,
        second.key_id: KeyState.DECRYPT_ONLY,
        other.key_id: KeyState.ACTIVE,
    }
    with database.connect() as connection:
        changed = connection.execute(
            "SELECT key_id FROM vaultdb.data_key WHERE state_changed_at > now() - interval '1 min'"
        ).fetchall()
    assert {bytes(row[0]) for row in changed} == {first.key_id, second.key_id}


def test_what_is_destroyed_has_no_wrapping_left_and_stays_so(
    database: Database, officer: PostgresKeyStore, rotator: PostgresKeyStore
) -> None:
    gone = officer.insert(key())
    with database.connect() as connection:
        connection.execute("UPDATE vaultdb.data_key SET wrapped_prev = 'vault:v1:BBBB'")
    assert restrict(rotator, [gone.key_id], KeyState.DESTROYED) == {gone.key_id}
    assert list(officer.by_ids(REALM, [gone.key_id])) == [
        replace(gone, state=KeyState.DESTROYED, wrapped="")
    ]
    with database.connect() as connection:
        assert connection.execute("SELECT wrapped_prev FROM vaultdb.data_key").fetchone() == (None,)
    assert restrict(rotator, [gone.key_id], KeyState.DISABLED) == frozenset()
    with pytest.raises(ConfigurationError, match=r"was not stored.*destroyed"):
        officer.insert(key())


def test_only_an_incoming_index_key_is_promoted(
    officer: PostgresKeyStore, rotator: PostgresKeyStore
) -> None:
    old, new = officer.insert_all(REALM, [key(INDEX), key(INDEX, 2, KeyState.INCOMING)])
    assert restrict(rotator, [old.key_id], KeyState.DECRYPT_ONLY) == {old.key_id}
    assert promote(rotator, [old.key_id, new.key_id]) == {new.key_id}
    assert promote(rotator, [new.key_id]) == frozenset()
    assert states(officer) == {old.key_id: KeyState.DECRYPT_ONLY, new.key_id: KeyState.ACTIVE}


def test_another_realm_is_left_alone(officer: PostgresKeyStore, rotator: PostgresKeyStore) -> None:
    kept = officer.insert(key())
    with rotator.connection(REALM, "restrict a data key") as connection:
        elsewhere = KeyStates(connection, type(REALM)(int=1))
        assert elsewhere.restrict([kept.key_id], KeyState.DESTROYED) == frozenset()
    assert states(officer) == {kept.key_id: KeyState.ACTIVE}


@pytest.mark.parametrize("state", [KeyState.INCOMING, KeyState.ACTIVE])
def test_a_state_that_would_give_rights_back_is_refused(
    rotator: PostgresKeyStore, state: KeyState
) -> None:
    with pytest.raises(ValueError, match="restricts nothing"):
        restrict(rotator, [b"?" * 16], state)


def test_every_state_has_its_place_in_the_order() -> None:
    assert set(ORDER) == set(KeyState)


def test_the_officer_and_the_application_change_no_state(
    database: Database, officer: PostgresKeyStore
) -> None:
    kept = officer.insert(key())
    application = PostgresKeyStore(DatabaseSettings.model_validate({"url": database.url}))
    try:
        for store in (officer, application):
            with pytest.raises(ConfigurationError):
                restrict(store, [kept.key_id], KeyState.DISABLED)
    finally:
        application.close()
    assert states(officer) == {kept.key_id: KeyState.ACTIVE}
