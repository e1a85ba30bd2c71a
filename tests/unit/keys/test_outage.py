"""What the keyring does when Vault or the key table is away, or says no."""

from __future__ import annotations

import threading
import time

import pytest

from tests.unit.keys.support import World, eventually
from vaultdb.errors import DecryptionError, KeyDenied, KeyUnavailable, SchemaError
from vaultdb.keys import Keyring, KeyState
from vaultdb.keys.clock import BOOT_TIME

AWAY = KeyUnavailable("vault did not answer")


def warm(world: World) -> Keyring:
    world.create("acme")
    keyring = world.keyring()
    keyring.active("acme", "default")
    return keyring


def test_cold_and_unavailable_fails_closed(world: World) -> None:
    row = world.create("acme")
    world.provider.trouble = AWAY
    keyring = world.keyring()
    for use in (
        lambda: keyring.active("acme", "default"),
        lambda: keyring.load([row.scope]),
        lambda: keyring.get(row.key_id),
    ):
        with pytest.raises(KeyUnavailable, match="vault did not answer"):
            use()


def test_an_outage_is_not_remembered(world: World) -> None:
    world.create("acme")
    world.provider.trouble = AWAY
    keyring = world.keyring()
    with pytest.raises(KeyUnavailable):
        keyring.active("acme", "default")
    world.provider.trouble = None
    assert keyring.active("acme", "default").version == 1


def test_keys_are_refreshed_in_the_background_after_the_soft_lifetime(world: World) -> None:
    keyring = warm(world)
    world.clock.advance(299)
    keyring.active("acme", "default")
    assert keyring.counters.refreshes == 0
    world.clock.advance(2)
    keyring.active("acme", "default")
    assert eventually(lambda: world.provider.batches == [1, 1])
    assert keyring.counters.refreshes == 1


def test_the_caller_does_not_wait_for_a_refresh(world: World) -> None:
    keyring = warm(world)
    release = threading.Event()
    world.provider.before_unwrap = lambda _: bool(release.wait(10))
    world.clock.advance(301)
    assert keyring.active("acme", "default").version == 1, "answered from the cache"
    assert eventually(lambda: len(world.provider.batches) == 2)
    release.set()


def test_getting_by_id_refreshes_too(world: World) -> None:
    keyring = warm(world)
    key_id = keyring.active("acme", "default").key_id
    world.clock.advance(301)
    assert keyring.get(key_id).version == 1
    assert eventually(lambda: world.provider.batches == [1, 1])


def test_refreshes_of_many_keys_share_calls(world: World) -> None:
    keyring = world.keyring()
    rows = [world.create(f"tenant-{number}") for number in range(150)]
    keyring.load([row.scope for row in rows])
    world.clock.advance(301)
    keyring.load([row.scope for row in rows])
    assert eventually(lambda: sum(world.provider.batches) == 300)
    assert keyring.counters.store_queries < 10


def test_cached_keys_are_served_until_the_hard_lifetime(world: World) -> None:
    keyring = warm(world)
    key = keyring.active("acme", "default")
    world.provider.trouble = AWAY
    for _ in range(88):
        world.clock.advance(10)
        assert keyring.active("acme", "default") is key
        assert keyring.get(key.key_id) is key
        keyring.load([key.scope])
        if keyring.counters.refreshes:  # the first one must end while there are uses to count
            assert eventually(lambda: keyring.counters.refresh_failures > 0)
    assert keyring.counters.stale_served > 0
    world.clock.advance(30)
    for use in (
        lambda: keyring.active("acme", "default"),
        lambda: keyring.load([key.scope]),
        lambda: keyring.get(key.key_id),
    ):
        with pytest.raises(KeyUnavailable):
            use()


def test_the_hard_lifetime_counts_from_the_last_successful_unwrap(world: World) -> None:
    keyring = warm(world)
    world.clock.advance(400)
    keyring.active("acme", "default")
    assert eventually(lambda: world.provider.batches == [1, 1])
    world.provider.trouble = AWAY
    world.clock.advance(890)
    assert keyring.active("acme", "default").version == 1


def test_a_failed_refresh_is_tried_again_after_five_seconds(world: World) -> None:
    keyring = warm(world)
    world.provider.trouble = AWAY
    world.clock.advance(301)
    keyring.active("acme", "default")
    assert eventually(lambda: keyring.counters.refresh_failures == 1)
    for _ in range(50):
        keyring.active("acme", "default")
    assert keyring.counters.refreshes == 1
    world.provider.trouble = None
    world.clock.advance(5.1)
    keyring.active("acme", "default")
    assert eventually(lambda: keyring.counters.refreshes == 2)
    assert eventually(lambda: len(world.provider.batches) == 3)


def test_a_key_table_that_is_away_leaves_cached_keys_in_use(world: World) -> None:
    keyring = warm(world)
    world.store.trouble = OSError("connection refused")
    world.clock.advance(301)
    assert keyring.active("acme", "default").version == 1
    assert eventually(lambda: keyring.counters.refresh_failures == 1)
    assert keyring.active("acme", "default").version == 1
    world.clock.advance(600)
    with pytest.raises(KeyUnavailable, match=r"key table cannot be read .OSError."):
        keyring.active("acme", "default")


def test_what_the_key_table_itself_says_is_passed_on(world: World) -> None:
    world.store.trouble = SchemaError("run: vaultdb migrate up")
    with pytest.raises(SchemaError, match="migrate up"):
        world.keyring().active("acme", "default")


def test_denied_evicts_at_the_next_refresh(world: World) -> None:
    keyring = warm(world)
    key = keyring.active("acme", "default")
    world.provider.trouble = KeyDenied("policy")
    world.clock.advance(301)
    keyring.load([key.scope])
    assert eventually(lambda: keyring.counters.denied == 1 and not keyring._cache.by_id)
    with pytest.raises(KeyDenied, match="policy"):
        keyring.active("acme", "default")
    with pytest.raises(KeyDenied, match="policy"):
        keyring.get(key.key_id)


def test_a_refusal_is_remembered_for_a_second_and_then_over(world: World) -> None:
    row = world.create("acme")
    world.provider.trouble = KeyDenied("policy")
    keyring = world.keyring()
    for _ in range(50):
        with pytest.raises(KeyDenied):
            keyring.active("acme", "default")
        with pytest.raises(KeyDenied):
            keyring.get(row.key_id)
    assert len(world.provider.batches) == 1
    world.provider.trouble = None
    world.clock.advance(1.1)
    assert keyring.active("acme", "default").version == 1
    assert keyring.get(row.key_id).version == 1


def test_a_disabled_key_stops_at_the_refresh_also_while_vault_is_away(world: World) -> None:
    keyring = warm(world)
    key = keyring.active("acme", "default")
    (row,) = world.store.by_ids(key.realm, [key.key_id])
    world.store.set_state(row, KeyState.DISABLED)
    world.provider.trouble = AWAY
    world.clock.advance(301)
    keyring.get(key.key_id)
    assert eventually(lambda: len(keyring._cache.by_id) == 0)
    with pytest.raises(KeyDenied, match="disabled"):
        keyring.get(key.key_id)


def test_an_exception_that_no_provider_should_raise_shows_only_its_class(world: World) -> None:
    world.create("acme")
    world.provider.trouble = RuntimeError("plaintext-of-a-dek")
    with pytest.raises(KeyUnavailable) as caught:
        world.keyring().active("acme", "default")
    assert "RuntimeError" in str(caught.value)
    assert "plaintext-of-a-dek" not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_outage_of_one_key_in_a_batch_spares_the_others(world: World) -> None:
    acme, globex = world.create("acme"), world.create("globex")
    world.provider.item_trouble[acme.context()] = KeyUnavailable("busy")
    keyring = world.keyring()
    with pytest.raises(KeyUnavailable, match="busy"):
        keyring.load([acme.scope, globex.scope])
    assert keyring.active("globex", "default").key_id == globex.key_id


def test_the_time_asleep_counts(world: World) -> None:
    """The default clock goes on during a suspend, where Linux's monotonic clock stands still."""
    assert abs(BOOT_TIME() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1


def test_a_deleted_key_is_not_used_after_its_hard_lifetime(world: World) -> None:
    keyring = warm(world)
    key = keyring.active("acme", "default")
    world.store.delete(key.key_id)
    world.clock.advance(901)
    for _ in range(2):
        with pytest.raises(DecryptionError):
            keyring.get(key.key_id)
