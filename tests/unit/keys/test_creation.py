"""A tenant's first DEK, made once whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.keys.support import REALM, World, in_threads
from vaultdb.errors import KeyDenied, KeyMissing, KeyRollback, KeyUnavailable
from vaultdb.keys import KeyScope, KeyState, Purpose, WrappedKey, create_key


def test_keys_are_not_created_unless_allowed(world: World) -> None:
    with pytest.raises(KeyMissing):
        world.keyring().active("new", "default")
    assert world.store.by_scopes(REALM, [KeyScope("new", "default", Purpose.DATA)]) == []


def test_a_new_tenants_key_is_stored_before_it_is_used(world: World) -> None:
    keyring = world.keyring(create_keys=True)
    key = keyring.active("new", "default")
    (row,) = world.store.by_ids(REALM, [key.key_id])
    assert (row.version, row.state, row.scope) == (1, KeyState.ACTIVE, key.scope)
    assert world.keyring().active("new", "default").key_id == key.key_id


def test_index_keys_are_created_too(world: World) -> None:
    (key,) = world.keyring(create_keys=True).index_keys("new", "default")
    assert key.scope == KeyScope("new", "default", Purpose.INDEX)


def test_a_hundred_threads_create_one_key(world: World) -> None:
    keyring = world.keyring(create_keys=True)
    keys = in_threads(100, lambda _: keyring.active("new", "default"))
    assert len({id(key) for key in keys}) == 1
    assert keyring.counters.created == 1


def test_of_two_processes_that_create_the_same_key_the_first_wins(world: World) -> None:
    """The loser re-reads the winner's row; the key it made itself is never used."""
    scope = KeyScope("new", "default", Purpose.DATA)
    insert = world.store.insert

    def lose_the_race(ours: WrappedKey) -> WrappedKey:
        world.store.insert = insert  # type: ignore[method-assign]
        theirs = create_key(world.provider, world.store, REALM, scope, 1)
        assert theirs.key_id != ours.key_id
        return insert(ours)

    world.store.insert = lose_the_race  # type: ignore[method-assign]
    key = world.keyring(create_keys=True).active("new", "default")
    (row,) = world.store.by_scopes(REALM, [scope])
    assert key.key_id == row.key_id


def test_many_keyrings_agree_on_one_key(world: World) -> None:
    keyrings = [world.keyring(create_keys=True) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        keys = list(pool.map(lambda keyring: keyring.active("new", "default"), keyrings))
    assert len({key.key_id for key in keys}) == 1
    assert len(world.store._rows) == 1


def test_a_role_that_may_not_create_keys_is_told(world: World) -> None:
    keyring = world.keyring(create_keys=True)
    world.provider.trouble = KeyDenied("datakey: permission denied")
    with pytest.raises(KeyDenied, match="permission denied"):
        keyring.active("new", "default")


def test_no_key_is_created_when_vault_is_away(world: World) -> None:
    keyring = world.keyring(create_keys=True)
    world.provider.trouble = KeyUnavailable("vault did not answer")
    with pytest.raises(KeyUnavailable):
        keyring.active("new", "default")
    assert not world.store._rows


def test_a_destroyed_tenant_is_not_revived(world: World) -> None:
    row = world.create("gone")
    world.store.set_state(row, KeyState.DESTROYED)
    with pytest.raises(KeyMissing):
        world.keyring(create_keys=True).active("gone", "default")
    assert world.provider.batches == []


def test_deleted_keys_are_not_replaced_by_new_ones(world: World) -> None:
    row = world.create("acme")
    keyring = world.keyring(create_keys=True)
    keyring.active("acme", "default")
    world.store.delete(row.key_id)
    keyring.flush()
    with pytest.raises(KeyRollback):
        keyring.active("acme", "default")
    assert not world.store._rows


def test_a_new_tenant_starts_at_the_pinned_version(world: World) -> None:
    keyring = world.keyring(create_keys=True, minimum_versions={"default": 4})
    assert keyring.active("new", "default").version == 4
