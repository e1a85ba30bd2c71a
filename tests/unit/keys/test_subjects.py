"""Data keys of single subjects beside those of the whole keyset."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.keys.support import REALM, World
from vaultdb.errors import DecryptionError, KeyDenied, KeyMissing
from vaultdb.keys import KeyScope, Purpose, create_key

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
