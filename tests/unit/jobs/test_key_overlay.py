"""A restore adds what is missing and brings back nothing that was taken away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.jobs.test_key_backup_file import row
from vaultdb.db.key_states import ORDER
from vaultdb.jobs.keybackup.overlay import overlay
from vaultdb.keys.wrapped_key import KeyState


def test_what_the_table_lacks_is_added_and_what_only_it_has_stays() -> None:
    plan = overlay([row(1), row(2)], [row(2), row(3)], ())
    assert plan.insert == (row(1),)
    assert (plan.same, plan.needs_rotator, plan.conflicts) == (1, False, ())


def test_a_tombstone_of_the_table_outlives_the_file() -> None:
    plan = overlay([row(1)], [row(1, "destroyed")], ())
    assert plan.is_empty
    assert plan.kept_destroyed == (row(1).key_id,)


def test_a_tombstone_of_the_file_buries_the_key_of_the_table() -> None:
    plan = overlay([row(1, "destroyed")], [row(1)], ())
    assert plan.restrict == {KeyState.DESTROYED: (row(1).key_id,)}


def test_a_tombstone_of_another_backup_counts_as_well() -> None:
    one, two = row(1), row(2)
    plan = overlay([one], [two], {one.key_id, two.key_id})
    assert [(each.key_id, each.state, each.wrapped) for each in plan.insert] == [
        (one.key_id, "destroyed", "")
    ]
    assert plan.kept_destroyed == (one.key_id,)
    assert plan.restrict == {KeyState.DESTROYED: (two.key_id,)}


@pytest.mark.parametrize("in_table", ORDER)
@pytest.mark.parametrize("in_file", ORDER)
def test_the_more_restricted_state_of_the_two_wins(in_file: KeyState, in_table: KeyState) -> None:
    def index_key(state: KeyState):
        return row(1, state.value, purpose="index")

    plan = overlay([index_key(in_file)], [index_key(in_table)], ())
    is_more = ORDER.index(in_file) > max(ORDER.index(in_table), ORDER.index(KeyState.ACTIVE))
    assert plan.restrict == ({in_file: (row(1).key_id,)} if is_more else {})
    assert plan.insert == ()


def test_the_wrapping_under_the_newer_kek_wins() -> None:
    newer = row(1, kek_version=2, wrapped="vault:v2:new")
    assert overlay([newer], [row(1)], ()).rewrap == ((row(1), newer),)
    assert overlay([row(1)], [newer], ()).is_empty


def test_two_keys_for_one_place_and_two_places_for_one_key_are_conflicts() -> None:
    mine = row(1)
    there = replace(mine, key_id=b"?" * 16)
    plan = overlay([mine], [there], ())
    assert plan.is_empty
    assert mine.key_id.hex() in plan.conflicts[0]
    assert there.key_id.hex() in plan.conflicts[0]
    moved = replace(mine, tenant="other")
    plan = overlay([mine], [moved], ())
    assert plan.is_empty
    assert "tenant other" in plan.conflicts[0]
