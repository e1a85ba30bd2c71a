"""The keyring hands out the right DEK, with as few calls as possible."""

from __future__ import annotations

import os
from dataclasses import replace
from uuid import UUID

import pytest

from tests.unit.keys.support import REALM, World, scopes_of
from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.errors import (
    ConfigurationError,
    DecryptionError,
    KeyDenied,
    KeyMissing,
    KeyUnavailable,
)
from vaultdb.keys import KeyScope, KeyState, Purpose

COLUMN = ColumnIdentity("app.patient.ssn", "str")


def test_what_the_active_key_encrypts_decrypts_under_the_key_of_the_envelope(world: World) -> None:
    world.create("acme")
    envelope = (
        world.keyring().active("acme", "default").encrypt(COLUMN, b"frame", b"", os.urandom(12))
    )
    key = world.keyring().get(envelope[2:18])
    assert key.decrypt(COLUMN, envelope, b"") == b"frame"


def test_a_warm_keyring_asks_nobody(world: World) -> None:
    world.create("acme", count=2)
    keyring = world.keyring()
    key = keyring.active("acme", "default")
    for _ in range(1000):
        assert keyring.get(key.key_id) is key
        assert keyring.active("acme", "default") is key
        keyring.load([key.scope])
    assert world.store.queries == 1
    assert world.provider.batches == [2]


def test_load_makes_one_query_and_one_unwrap_per_hundred_keys(world: World) -> None:
    scopes = scopes_of(250)
    for scope in scopes:
        world.create(scope.tenant)
    keyring = world.keyring()
    keyring.load(scopes)
    assert world.store.queries == 1
    assert world.provider.batches == [100, 100, 50]
    assert keyring.counters.provider_calls == 3
    assert keyring.counters.unwraps == 250
    keyring.load(scopes)
    assert world.store.queries == 1


def test_the_active_key_is_the_highest_version(world: World) -> None:
    world.create("acme", count=3)
    assert world.keyring().active("acme", "default").version == 3


def test_older_versions_still_decrypt(world: World) -> None:
    old = world.create("acme")
    world.create("acme")
    assert world.keyring().get(old.key_id).version == 1


def test_index_keys_come_newest_first(world: World) -> None:
    world.create("acme", purpose=Purpose.INDEX, count=3)
    assert [key.version for key in world.keyring().index_keys("acme", "default")] == [3, 2, 1]


def test_tenants_keysets_and_purposes_have_their_own_keys(world: World) -> None:
    for tenant in ("acme", "globex"):
        for keyset in ("default", "medical"):
            world.create(tenant, keyset)
            world.create(tenant, keyset, Purpose.INDEX)
    keyring = world.keyring()
    keys = [
        key
        for tenant in ("acme", "globex")
        for keyset in ("default", "medical")
        for key in (keyring.active(tenant, keyset), *keyring.index_keys(tenant, keyset))
    ]
    assert len({key.key_id for key in keys}) == 8
    assert keyring.active("acme", "medical").scope == KeyScope("acme", "medical", Purpose.DATA)


def test_a_tenant_never_gets_another_tenants_key(world: World) -> None:
    """Also not when the tenant's own row was replaced by the other's wrapped key."""
    acme, globex = world.create("acme"), world.create("globex")
    world.store.delete(globex.key_id)
    world.store.replace(replace(acme, scope=globex.scope))  # acme's row, relabelled
    with pytest.raises(KeyDenied):
        world.keyring().active("globex", "default")


def test_a_missing_key_names_the_command(world: World) -> None:
    with pytest.raises(KeyMissing) as caught:
        world.keyring().active("o'hara inc", "medical")
    assert "vaultdb keys create --keyset medical --tenant 'o'\"'\"'hara inc'" in str(caught.value)


def test_a_missing_index_key_names_the_purpose(world: World) -> None:
    with pytest.raises(KeyMissing, match="vaultdb keys create --keyset default --purpose index"):
        world.keyring().index_keys("", "default")


def test_a_key_that_was_just_created_is_found_at_once(world: World) -> None:
    keyring = world.keyring()
    with pytest.raises(KeyMissing):
        keyring.active("acme", "default")
    world.create("acme")
    assert keyring.active("acme", "default").version == 1


def test_loading_a_scope_without_keys_is_no_error_and_is_remembered(world: World) -> None:
    keyring = world.keyring()
    keyring.load(scopes_of(3))
    keyring.load(scopes_of(3))
    assert world.store.queries == 1
    world.clock.advance(5.1)
    keyring.load(scopes_of(3))
    assert world.store.queries == 2


def test_an_unknown_key_id_fails_like_any_decryption_and_is_remembered(world: World) -> None:
    keyring = world.keyring()
    for _ in range(10):
        with pytest.raises(DecryptionError) as caught:
            keyring.get(b"?" * 16)
        assert caught.value.reason == "unknown key"
    assert world.store.queries == 1
    world.clock.advance(5.1)
    with pytest.raises(DecryptionError):
        keyring.get(b"?" * 16)
    assert world.store.queries == 2


def test_unknown_key_ids_of_a_batch_are_looked_up_together(world: World) -> None:
    known = [world.create(f"tenant-{number}") for number in range(20)]
    keyring = world.keyring()
    keyring.load_ids([row.key_id for row in known] + [bytes([n]) * 16 for n in range(20)])
    assert world.store.queries == 2  # the ids, then the scopes they belong to
    assert world.provider.batches == [20]
    for row in known:
        assert keyring.get(row.key_id).scope == row.scope
    with pytest.raises(DecryptionError):
        keyring.get(bytes(16))
    assert world.store.queries == 2


def test_a_key_of_another_tenant_is_not_unwrapped_because_a_stored_value_names_it(
    world: World,
) -> None:
    foreign = world.create("globex")
    mine = KeyScope("acme", "default", Purpose.DATA)
    keyring = world.keyring()
    for _ in range(2):
        with pytest.raises(DecryptionError) as caught:
            keyring.get(foreign.key_id, mine)
        assert caught.value.reason == "wrong scope"
    assert world.provider.batches == []
    assert keyring.get(foreign.key_id, foreign.scope).version == 1, "its own tenant is not refused"
    world.create("acme")
    assert keyring.get(world.create("acme").key_id, mine).version == 2


def test_a_key_that_another_process_created_is_found_by_its_id(world: World) -> None:
    world.create("acme")
    keyring = world.keyring()
    assert keyring.active("acme", "default").version == 1
    newer = world.create("acme")
    assert keyring.get(newer.key_id).version == 2
    assert keyring.active("acme", "default").version == 2


def test_a_disabled_key_is_refused(world: World) -> None:
    row = world.create("acme")
    world.create("acme")
    world.store.set_state(row, KeyState.DISABLED)
    keyring = world.keyring()
    with pytest.raises(KeyDenied, match="disabled"):
        keyring.get(row.key_id)
    assert keyring.active("acme", "default").version == 2
    assert world.provider.batches == [1], "a disabled key is not even unwrapped"


def test_a_destroyed_key_is_refused(world: World) -> None:
    row = world.create("acme")
    world.store.set_state(row, KeyState.DESTROYED)
    with pytest.raises(KeyDenied, match="destroyed"):
        world.keyring().get(row.key_id)


@pytest.mark.parametrize("state", [KeyState.DECRYPT_ONLY, KeyState.DISABLED])
def test_a_restricted_newest_key_is_not_replaced_by_an_older_one(
    world: World, state: KeyState
) -> None:
    world.create("acme")
    newest = world.create("acme")
    world.store.set_state(newest, state)
    with pytest.raises(KeyMissing, match=f"version 2, is {state}; create the next with: vaultdb"):
        world.keyring().active("acme", "default")


def test_a_query_never_leaves_out_an_index_key(world: World) -> None:
    """A key that cannot be unwrapped would hide the rows under it."""
    old = world.create("acme", purpose=Purpose.INDEX)
    world.create("acme", purpose=Purpose.INDEX)
    world.provider.item_trouble[old.context()] = KeyDenied("too old")
    with pytest.raises(KeyDenied, match="too old"):
        world.keyring().index_keys("acme", "default")


def test_a_refused_old_key_does_not_stop_new_ones(world: World) -> None:
    old = world.create("acme")
    world.create("acme")
    world.provider.item_trouble[old.context()] = KeyDenied("too old")
    keyring = world.keyring()
    keyring.load([old.scope])
    assert keyring.active("acme", "default").version == 2
    with pytest.raises(KeyDenied, match="too old"):
        keyring.get(old.key_id)


def test_a_setting_that_cannot_work_is_not_taken_for_an_outage(world: World) -> None:
    world.create("acme")
    world.provider.trouble = ConfigurationError("the transit key is not derived")
    with pytest.raises(ConfigurationError, match="not derived"):
        world.keyring().active("acme", "default")


def test_the_least_recently_used_keys_go_first(world: World) -> None:
    scopes = scopes_of(4)
    for scope in scopes:
        world.create(scope.tenant)
    keyring = world.keyring(capacity=3)
    for scope in scopes[:3]:
        keyring.load([scope])
        world.clock.advance(1)
    keyring.load([scopes[0]])
    world.clock.advance(1)
    keyring.load([scopes[3]])
    assert keyring.counters.evicted == 1
    queries = world.store.queries
    keyring.load([scopes[0], scopes[2], scopes[3]])
    assert world.store.queries == queries, "those stayed"
    keyring.load([scopes[1]])
    assert world.store.queries == queries + 1, "that one went"


def test_more_scopes_than_fit_are_loaded_and_still_served(world: World) -> None:
    scopes = scopes_of(30)
    for scope in scopes:
        world.create(scope.tenant)
    keyring = world.keyring(capacity=10)
    keyring.load(scopes)
    assert [keyring.active(scope.tenant, "default").scope for scope in scopes] == scopes


def test_flush_forgets_at_once(world: World) -> None:
    world.create("acme")
    keyring = world.keyring()
    keyring.active("acme", "default")
    world.provider.trouble = KeyDenied("revoked")
    keyring.flush()
    with pytest.raises(KeyDenied, match="revoked"):
        keyring.active("acme", "default")


def test_a_closed_keyring_says_so_and_closes_its_provider(world: World) -> None:
    row = world.create("acme")
    keyring = world.keyring()
    keyring.active("acme", "default")
    keyring.close()
    assert world.provider.closed
    for use in (
        lambda: keyring.active("acme", "default"),
        lambda: keyring.load([row.scope]),
        lambda: keyring.get(row.key_id),
    ):
        with pytest.raises(KeyUnavailable, match="closed"):
            use()


def test_the_repr_shows_no_key(world: World) -> None:
    world.create("acme")
    keyring = world.keyring()
    keyring.active("acme", "default")
    assert repr(keyring) == f"<Keyring realm={REALM} provider=memory keys=1>"


def test_a_key_of_another_realm_is_refused_unseen(world: World) -> None:
    """Also from a store that does not look at the realm."""
    row = world.create("acme")
    foreign = replace(row, realm=UUID(int=7))
    world.store.by_scopes = lambda *_: [foreign]  # type: ignore[method-assign]
    world.store.by_ids = lambda *_: [foreign]  # type: ignore[method-assign]
    keyring = world.keyring()
    with pytest.raises(KeyDenied, match="another realm"):
        keyring.active("acme", "default")
    with pytest.raises(KeyDenied, match="another realm"):
        keyring.get(row.key_id)
    assert world.provider.batches == []
