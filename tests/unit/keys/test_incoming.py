"""An incoming index key: searched for, and not writing what is searched today."""

from __future__ import annotations

import pytest

from tests.unit.keys.support import World
from vaultdb.errors import KeyMissing
from vaultdb.keys import (
    KeyState,
    Purpose,
    WrappedKey,
    incoming_index_key,
    writing_index_key,
)


@pytest.fixture
def old(world: World) -> WrappedKey:
    return world.create("acme", purpose=Purpose.INDEX)


@pytest.fixture
def new(world: World, old: WrappedKey) -> WrappedKey:
    del old  # the first version
    row = world.create("acme", purpose=Purpose.INDEX)
    world.store.set_state(row, KeyState.INCOMING)
    return row


def test_both_are_searched_for_newest_first(world: World, old: WrappedKey, new: WrappedKey) -> None:
    keys = world.keyring().index_keys("acme", "default")
    assert [key.key_id for key in keys] == [new.key_id, old.key_id]


def test_each_fills_its_own_column(world: World, old: WrappedKey, new: WrappedKey) -> None:
    keys = world.keyring().index_keys("acme", "default")
    assert writing_index_key(keys).key_id == old.key_id
    assert incoming_index_key(keys).key_id == new.key_id


def test_one_key_fills_both_columns_when_none_is_incoming(world: World, old: WrappedKey) -> None:
    keys = world.keyring().index_keys("acme", "default")
    assert writing_index_key(keys) is incoming_index_key(keys)
    assert writing_index_key(keys).key_id == old.key_id


def test_a_promoted_key_writes(world: World, old: WrappedKey, new: WrappedKey) -> None:
    world.store.set_state(new, KeyState.ACTIVE)
    world.store.set_state(old, KeyState.DECRYPT_ONLY)
    keys = world.keyring().index_keys("acme", "default")
    assert [key.key_id for key in keys] == [new.key_id, old.key_id]
    assert writing_index_key(keys).key_id == incoming_index_key(keys).key_id == new.key_id


def test_an_incoming_key_alone_writes_nothing(
    world: World, old: WrappedKey, new: WrappedKey
) -> None:
    del new
    world.store.delete(old.key_id)
    with pytest.raises(KeyMissing, match="there is no index key"):
        world.keyring().index_keys("acme", "default")


def test_the_newest_key_that_is_not_incoming_must_be_active(
    world: World, old: WrappedKey, new: WrappedKey
) -> None:
    del new
    world.store.set_state(old, KeyState.DECRYPT_ONLY)
    with pytest.raises(KeyMissing, match="version 1, is decrypt_only"):
        world.keyring().index_keys("acme", "default")
