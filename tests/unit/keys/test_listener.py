"""What a listener hears of a keyring, and that it is never in the way."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.keys.support import REALM, World, in_threads
from vaultdb.errors import KeyDenied, KeyRollback
from vaultdb.keys import KeyListener, Keyring, KeyScope, MemoryKeyStore, Purpose, WrappedKey
from vaultdb.keys.creation import create_key

WHOLE = KeyScope("acme", "default", Purpose.DATA)


class Listener:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def created(self, keys: Sequence[WrappedKey]) -> None:
        self.heard.append(("created", [key.key_id for key in keys]))

    def unwrapped(self, whole: KeyScope, keys: Sequence[WrappedKey]) -> None:
        self.heard.append(("unwrapped", (whole, len(keys))))

    def denied(self, keys: Sequence[WrappedKey], reason: str) -> None:
        self.heard.append(("denied", ([key.key_id for key in keys], reason)))

    def rolled_back(self, scope: KeyScope, newest: int, floor: int) -> None:
        self.heard.append(("rolled back", (scope, newest, floor)))

    def of(self, kind: str) -> list[Any]:
        return [what for name, what in self.heard if name == kind]


@pytest.fixture
def listener() -> Listener:
    """One that has heard nothing."""
    return Listener()


def keyring_of(world: World, listener: KeyListener, **options: object) -> Keyring:
    return world.keyring(listener=listener, **options)


def test_the_listener_of_these_tests_is_one() -> None:
    assert isinstance(Listener(), KeyListener)


def test_an_unwrapped_key_is_heard_of_once_and_not_at_every_use(
    world: World, listener: Listener
) -> None:
    world.create("acme")
    keyring = keyring_of(world, listener)
    for _ in range(3):
        keyring.active("acme", "default")
    assert listener.heard == [("unwrapped", (WHOLE, 1))]


def test_keys_of_data_subjects_are_heard_of_in_batches_as_the_provider_unwraps_them(
    world: World, listener: Listener
) -> None:
    scopes = [WHOLE._replace(subject=f"s{number}") for number in range(150)]
    for scope in scopes:
        create_key(world.provider, world.store, REALM, scope, 1)
    world.create("other")
    keyring = keyring_of(world, listener)
    keyring.load([*scopes, WHOLE._replace(tenant="other")])
    assert sorted(count for _, count in listener.of("unwrapped")) == [1, 50, 100]


def test_a_first_key_is_heard_of_by_who_made_it_only(world: World, listener: Listener) -> None:
    other = Listener()
    keyrings = [keyring_of(world, each, create_keys=True) for each in (listener, other)]
    in_threads(2, lambda number: keyrings[number].active("acme", "default"))
    (row,) = MemoryKeyStore.by_scopes(world.store, REALM, [WHOLE])
    assert [*listener.of("created"), *other.of("created")] == [[row.key_id]]


def test_a_refused_key_is_heard_of_with_the_reason(world: World, listener: Listener) -> None:
    row = world.create("acme")
    world.provider.item_trouble[row.context()] = KeyDenied("not for you")
    with pytest.raises(KeyDenied):
        keyring_of(world, listener).active("acme", "default")
    assert listener.of("denied") == [([row.key_id], "not for you")]
    assert not listener.of("unwrapped")


def test_a_rollback_of_the_key_table_is_heard_of(world: World, listener: Listener) -> None:
    world.create("acme")
    with pytest.raises(KeyRollback):
        keyring_of(world, listener, minimum_versions={"default": 3}).active("acme", "default")
    assert listener.of("rolled back")[0] == (WHOLE, 1, 3)


def test_a_listener_that_fails_is_logged_and_in_nobodys_way(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Listener):
        def unwrapped(self, whole: KeyScope, keys: Sequence[WrappedKey]) -> None:
            raise RuntimeError("no room")

    world.create("acme")
    with caplog.at_level(logging.WARNING, "vaultdb.audit"):
        assert keyring_of(world, Failing()).active("acme", "default").version == 1
    assert "not recorded: no room" in caplog.text


def test_a_listener_may_use_the_keyring_that_it_listens_to(world: World) -> None:
    """No lock is held and no fetch waited for: else this would wait for itself."""

    class Asking(Listener):
        keyring: Keyring

        def unwrapped(self, whole: KeyScope, keys: Sequence[WrappedKey]) -> None:
            super().unwrapped(whole, keys)
            self.keyring.load([whole])
            self.keyring.get(keys[0].key_id)

    world.create("acme")
    asking = Asking()
    asking.keyring = keyring_of(world, asking)
    assert asking.keyring.active("acme", "default").version == 1
    assert asking.heard == [("unwrapped", (WHOLE, 1))]
