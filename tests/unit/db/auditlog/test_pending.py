"""The events of a transaction follow its savepoints."""

from __future__ import annotations

from vaultdb.audit.event import Event
from vaultdb.audit.kinds import own_kind
from vaultdb.db.auditlog.pending import Pending

NOTE = own_kind(10_002, "test.pending", "A test.", ("note",))


class Nobody:
    def commit_with(self, *_: object, **__: object) -> None: ...


def pending(*steps: str) -> list[object]:
    """Follow `+event`, `(savepoint`, `)released`, `<rolled back to`."""
    kept = Pending()
    for step in steps:
        what, name = step[0], step[1:]
        if what == "+":
            kept.add(Nobody(), [Event(NOTE, {"note": name})])
        elif what == "(":
            kept.savepoint(name)
        elif what == ")":
            kept.release(name)
        else:
            kept.roll_back_to(name)
    return [event.fields["note"] for event in kept.events]


def test_a_rollback_to_a_savepoint_forgets_what_came_after_it() -> None:
    assert pending("+1", "(a", "+2", "<a", "+3") == ["1", "3"]


def test_a_released_savepoint_keeps_its_events() -> None:
    assert pending("+1", "(a", "+2", ")a", "+3") == ["1", "2", "3"]


def test_a_savepoint_can_be_rolled_back_to_twice() -> None:
    assert pending("(a", "+1", "<a", "+2", "<a", "+3") == ["3"]


def test_an_outer_rollback_forgets_inner_savepoints() -> None:
    assert pending("(a", "+1", "(b", "+2", "<a", "+3", "<b") == ["3"]


def test_the_newest_savepoint_of_a_name_counts() -> None:
    assert pending("(a", "+1", "(a", "+2", "<a", "+3") == ["1", "3"]


def test_after_a_release_the_older_one_of_the_name_counts() -> None:
    assert pending("(a", "+1", "(a", "+2", ")a", "<a") == []


def test_a_release_ends_the_savepoints_within() -> None:
    assert pending("(a", "(b", "+1", ")a", "<b") == ["1"]
