"""Somebody with write access to the key table cannot make the keyring use an older DEK."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.keys.support import World
from vaultdb.errors import KeyDenied, KeyMissing, KeyRollback
from vaultdb.keys import KeyState, Purpose


def test_deleting_the_newest_key_is_noticed_by_who_saw_it(world: World) -> None:
    world.create("acme")
    newest = world.create("acme")
    keyring = world.keyring()
    assert keyring.active("acme", "default").version == 2
    world.store.delete(newest.key_id)
    keyring.flush()
    with pytest.raises(
        KeyRollback, match=r"newest data key .* is version 1, but version 2 was seen"
    ):
        keyring.active("acme", "default")
    assert keyring.counters.rollbacks >= 1


def test_deleting_the_newest_key_is_noticed_by_a_new_process_with_a_pinned_version(
    world: World,
) -> None:
    world.create("acme", count=2)
    newest = world.create("acme")
    keyring = world.keyring(minimum_versions={"default": 3})
    assert keyring.active("acme", "default").version == 3
    world.store.delete(newest.key_id)
    with pytest.raises(KeyRollback, match=r"pinned in keyring\.minimum_versions"):
        world.keyring(minimum_versions={"default": 3}).active("acme", "default")


def test_older_values_stay_readable_after_a_rollback(world: World) -> None:
    old = world.create("acme")
    keyring = world.keyring(minimum_versions={"default": 2})
    assert keyring.get(old.key_id).version == 1


def test_a_rollback_stops_queries_by_index_too(world: World) -> None:
    world.create("acme", purpose=Purpose.INDEX)
    keyring = world.keyring(minimum_versions={"default/index": 2})
    with pytest.raises(KeyRollback):
        keyring.index_keys("acme", "default")


def test_a_pinned_data_version_says_nothing_about_index_keys(world: World) -> None:
    world.create("acme", purpose=Purpose.INDEX)
    assert len(world.keyring(minimum_versions={"default": 9}).index_keys("acme", "default")) == 1


def test_a_keyset_without_any_key_is_missing_rather_than_rolled_back(world: World) -> None:
    with pytest.raises(KeyMissing):
        world.keyring(minimum_versions={"default": 3}).active("new", "default")


def test_an_old_key_made_active_again_is_still_not_the_newest(world: World) -> None:
    old = world.create("acme")
    world.store.set_state(old, KeyState.DECRYPT_ONLY)
    newest = world.create("acme")
    world.store.set_state(old, KeyState.ACTIVE)
    assert world.keyring().active("acme", "default").key_id == newest.key_id


def test_an_old_key_relabelled_with_a_newer_version_does_not_unwrap(world: World) -> None:
    """The version is part of what the wrapping is bound to."""
    old = world.create("acme")
    newest = world.create("acme")
    world.store.delete(newest.key_id)
    world.store.replace(replace(old, version=2))
    with pytest.raises(KeyDenied):
        world.keyring().active("acme", "default")


def test_an_invented_newer_row_stops_writes_but_is_forgotten_with_the_row(world: World) -> None:
    real = world.create("acme")
    invented = replace(real, key_id=b"!" * 16, version=9, wrapped="vaultdb:v1:AAAA")
    world.store.replace(invented)
    keyring = world.keyring()
    with pytest.raises(KeyDenied):
        keyring.active("acme", "default")
    world.store.delete(invented.key_id)
    world.clock.advance(1.1)
    assert keyring.active("acme", "default").version == 1


def test_a_wrapped_key_exchanged_in_the_table_is_refused(world: World) -> None:
    """The provider unwraps it, but the key id commits to another DEK."""
    row = world.create("acme")
    _, other, _ = world.provider.create(row.context())
    world.store.replace(replace(row, wrapped=other))
    keyring = world.keyring()
    with pytest.raises(KeyDenied, match="does not match what its row unwraps to"):
        keyring.active("acme", "default")
    with pytest.raises(KeyDenied, match="does not match"):
        keyring.get(row.key_id)


def test_a_lying_kek_version_changes_nothing(world: World) -> None:
    row = world.create("acme")
    world.store.replace(replace(row, kek_version=77))
    assert world.keyring().active("acme", "default").key_id == row.key_id
