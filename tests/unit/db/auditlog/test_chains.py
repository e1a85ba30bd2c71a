"""A chain is in one hand at a time, and is not used again when nobody knows where it stands."""

from __future__ import annotations

import json

import pytest

from vaultdb.audit.event import Event
from vaultdb.audit.kinds import SIGNED_IN
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.db.auditlog.chains import Chains
from vaultdb.db.auditlog.heartbeat import Heartbeat
from vaultdb.db.auditlog.process import Process

KEYS = MemoryAuditKeys()
ONE = [("2026-11-23T03:42:26.123456Z", Event(SIGNED_IN))]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chains(clock: Clock) -> Chains:
    return Chains(Process("realm", KEYS), age=100.0, _clock=clock)


def test_a_chain_begins_with_its_opening_and_goes_on_with_the_next_borrower(
    chains: Chains,
) -> None:
    with chains.borrowed("app") as held:
        assert held.opening is not None
        first = held.link(ONE)
    with chains.borrowed("app") as held:
        assert held.opening is None
        second = held.link(ONE)
    assert [json.loads(r.body)["event"] for r in (*first, *second)] == [
        "chain.opened",
        "session.signed-in",
        "session.signed-in",
    ]
    assert [record.seq for record in (*first, *second)] == [0, 1, 2]


def test_two_at_the_same_time_have_two_chains(chains: Chains) -> None:
    with chains.borrowed("app") as one, chains.borrowed("app") as other:
        one.link(ONE)
        other.link(ONE)
        assert one.chain.id != other.chain.id
    assert len(chains.heads()) == 2


def test_each_login_has_chains_of_its_own(chains: Chains) -> None:
    with chains.borrowed("app") as held:
        held.link(ONE)
    assert chains.has("app")
    assert not chains.has("reader")
    with chains.borrowed("reader") as other:
        assert other.identity.login == "reader"


def test_a_failure_after_a_link_ends_the_chain(chains: Chains) -> None:
    with pytest.raises(KeyboardInterrupt), chains.borrowed("app") as held:
        held.link(ONE)
        raise KeyboardInterrupt
    assert not chains.has("app")
    assert chains.heads() == []


def test_a_failure_that_took_its_links_back_leaves_the_chain(chains: Chains) -> None:
    with chains.borrowed("app") as held:
        held.link(ONE)
    with pytest.raises(ValueError, match="refused"), chains.borrowed("app") as held:
        before = held.chain.head
        held.link(ONE)
        held.chain.restore(before)
        raise ValueError("refused")
    assert chains.heads() == [{"chain": held.chain.id.hex, "seq": 1}]
    with chains.borrowed("app") as again:
        assert [record.seq for record in again.link(ONE)] == [2]


def test_an_opening_that_was_taken_back_is_written_again(chains: Chains) -> None:
    with pytest.raises(ValueError, match="refused"), chains.borrowed("app") as held:
        before = held.chain.head
        held.link(ONE)
        held.chain.restore(before)
        raise ValueError("refused")
    assert chains.heads() == [], "nothing of it is stored"
    with chains.borrowed("app") as again:
        assert again.opening is not None
        assert [record.seq for record in again.link(ONE)] == [0, 1]


def test_a_chain_that_was_prepared_is_no_part_of_the_log_yet(chains: Chains) -> None:
    chains.prepare("app")
    chains.prepare("app")
    assert chains.has("app")
    assert chains.heads() == []
    assert chains.take_all() == []


def test_what_may_be_rolled_back_later_is_not_followed_by_anything(chains: Chains) -> None:
    with chains.borrowed("app", reusable=False) as held:
        held.link(ONE)
    assert not chains.has("app")
    assert chains.heads() == []


def test_an_old_chain_is_taken_out_to_be_closed(chains: Chains, clock: Clock) -> None:
    with chains.borrowed("app") as held:
        held.link(ONE)
    clock.now = 99.0
    assert chains.take_old() == []
    clock.now = 100.0
    assert not chains.has("app")
    with chains.borrowed("app") as other:
        assert other.chain.id != held.chain.id
        other.link(ONE)
    (old,) = chains.take_old()
    assert json.loads(old.close("replaced").body)["reason"] == "replaced"
    assert [head["chain"] for head in chains.heads()] == [other.chain.id.hex]  # type: ignore[index,call-overload]


def test_a_child_of_a_fork_has_no_chain(chains: Chains) -> None:
    with chains.borrowed("app") as held:
        held.link(ONE)
    chains.reset_after_fork()
    assert not chains.has("app")
    assert chains.heads() == []


def test_a_heartbeat_is_due_some_time_after_the_first_record_that_it_covers(
    chains: Chains, clock: Clock
) -> None:
    heartbeat = Heartbeat(1.0, chains, _clock=clock)
    assert heartbeat.due_in() is None
    with chains.borrowed("app") as held:
        held.link(ONE)
    heartbeat.want()
    clock.now = 0.7
    heartbeat.want()
    assert heartbeat.due_in() == pytest.approx(0.3)
    assert heartbeat.beat() is None
    clock.now = 1.0
    event = heartbeat.beat()
    assert event is not None
    assert event.fields == {"chains": [{"chain": held.chain.id.hex, "seq": 1}]}
    assert heartbeat.due_in() is None
    assert heartbeat.beat() is None
