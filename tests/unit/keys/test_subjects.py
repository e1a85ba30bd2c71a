"""Data keys of single subjects beside those of the whole keyset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from tests.unit.keys.support import REALM, World
from vaultdb.errors import DecryptionError, KeyDenied, KeyMissing, KeyUnavailable
from vaultdb.keys import KeyScope, Purpose, WrappedKey, create_key, create_keys

WHOLE = KeyScope("acme", "default", Purpose.DATA)


def test_a_subject_has_a_key_of_its_own(world: World) -> None:
    whole = world.create("acme")
    mine = create_key(world.provider, world.store, REALM, WHOLE._replace(subject="p-1"), 1)
    keyring = world.keyring()
    assert keyring.active("acme", "default").key_id == whole.key_id
    assert keyring.active("acme", "default", subject="p-1").key_id == mine.key_id


def test_the_keysets_key_never_stands_in_for_a_missing_subjects(world: World) -> None:
    world.create("acme")
    with pytest.raises(KeyMissing, match=r"subject 'p-1' of tenant 'acme'.*--subject p-1"):
        world.keyring().active("acme", "default", subject="p-1")


def test_a_wrapped_key_moved_to_another_subject_does_not_unwrap(world: World) -> None:
    mine = create_key(world.provider, world.store, REALM, WHOLE._replace(subject="p-1"), 1)
    world.store.replace(replace(mine, scope=WHOLE._replace(subject="p-2")))
    with pytest.raises(KeyDenied):
        world.keyring().active("acme", "default", subject="p-2")


def test_a_subjects_key_is_found_by_who_reads_the_keyset_without_knowing_the_subject(
    world: World,
) -> None:
    mine = create_key(world.provider, world.store, REALM, WHOLE._replace(subject="p-1"), 1)
    key = world.keyring().get(mine.key_id, WHOLE)
    assert key.scope == WHOLE._replace(subject="p-1")
    with pytest.raises(DecryptionError):
        world.keyring().get(mine.key_id, WHOLE._replace(tenant="globex"))


SUBJECTS = [WHOLE._replace(subject=f"p-{number}") for number in range(5000)]


@pytest.fixture
def full(world: World) -> World:
    """A world in which 5,000 subjects have keys."""
    create_keys(world.provider, world.store, REALM, [(scope, 1) for scope in SUBJECTS])
    return world


def test_the_subjects_of_a_statement_are_loaded_together_and_stay_for_it(full: World) -> None:
    keyring = full.keyring()  # keeps 1,000 keys
    keyring.load(SUBJECTS)
    assert keyring.counters.store_queries == 1
    assert full.provider.batches == [100] * 50
    for scope in SUBJECTS:
        assert keyring.active("acme", "default", subject=scope.subject).scope == scope
    assert keyring.counters.store_queries == 1
    assert len(full.provider.batches) == 50


def test_two_big_statements_at_once_do_not_take_each_others_keys(full: World) -> None:
    keyring = full.keyring()
    both = SUBJECTS[:2000], SUBJECTS[2000:4000]
    for scopes in both:
        keyring.load(scopes)
    for scope in (*both[0], *both[1]):
        keyring.active("acme", "default", subject=scope.subject)
    assert keyring.counters.store_queries == 2


def test_keys_of_a_result_are_looked_up_together_and_stay_for_it(full: World) -> None:
    rows = full.store.by_scopes(REALM, SUBJECTS)
    keyring, queries = full.keyring(), full.store.queries
    assert not keyring.load_ids([row.key_id for row in rows], WHOLE)
    for row in rows:
        assert keyring.get(row.key_id, WHOLE).key_id == row.key_id
    assert full.store.queries == queries + 2
    assert full.provider.batches == [100] * 50


def test_the_cache_shrinks_to_its_capacity_when_the_statement_is_over(full: World) -> None:
    keyring = full.keyring()
    keyring.load(SUBJECTS)
    full.clock.advance(11)
    full.create("acme")
    keyring.active("acme", "default")
    assert repr(keyring).endswith("keys=1000>")
    assert keyring.counters.evicted == 4001


def test_missing_keys_of_a_statement_are_made_together(world: World) -> None:
    queries: list[int] = []
    insert_all = world.store.insert_all

    def counted(realm: UUID, keys: Sequence[WrappedKey]) -> Sequence[WrappedKey]:
        queries.append(len(keys))
        return insert_all(realm, keys)

    world.store.insert_all = counted  # type: ignore[method-assign]
    there = create_key(world.provider, world.store, REALM, SUBJECTS[0], 1)
    keyring = world.keyring(create_keys=True)
    keyring.ensure(SUBJECTS[:500])
    assert queries == [499]
    assert keyring.counters.created == 499
    assert keyring.active("acme", "default", subject="p-0").key_id == there.key_id
    for scope in SUBJECTS[:500]:
        keyring.active("acme", "default", subject=scope.subject)
    assert queries == [499]
    assert keyring.counters.store_queries == 2, "before, and after"


def test_keys_are_not_made_unless_allowed(world: World) -> None:
    keyring = world.keyring()
    keyring.ensure(SUBJECTS[:3])
    assert keyring.counters.created == 0
    with pytest.raises(KeyMissing, match="--subject p-1"):
        keyring.active("acme", "default", subject="p-1")


def test_when_one_of_many_cannot_be_made_none_is_stored(world: World) -> None:
    world.provider.trouble = KeyUnavailable("vault did not answer")
    with pytest.raises(KeyUnavailable):
        create_keys(world.provider, world.store, REALM, [(scope, 1) for scope in SUBJECTS[:50]])
    assert world.store.by_scopes(REALM, SUBJECTS) == []


def test_no_log_names_a_subject(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="vaultdb")
    keyring = world.keyring(create_keys=True)
    keyring.ensure(SUBJECTS[:20])
    keyring.flush()
    world.provider.trouble = KeyUnavailable("vault did not answer")
    with pytest.raises(KeyUnavailable):
        keyring.load(SUBJECTS[:20])
    assert "for one subject, version 1 (20 keys)" in caplog.text
    assert "p-1" not in caplog.text
