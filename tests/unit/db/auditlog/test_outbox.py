"""Threads hand events over, and few of them send what all wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from vaultdb.audit.event import Event
from vaultdb.audit.kinds import SIGNED_IN
from vaultdb.db.auditlog.outbox import BATCH, Outbox
from vaultdb.errors import AuditUnavailable


class Sent:
    """What was sent, and how many sent at the same time; slow and failing as told."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[str]] = []
        self.most = 0
        self.fails: Callable[[], Exception | BaseException | None] = lambda: None
        self._seconds = seconds
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, events: Sequence[tuple[str, Event]]) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self._seconds)
        with self._lock:
            self._now -= 1
            if (failure := self.fails()) is not None:
                raise failure
            self.batches.append([at for at, _ in events])


def outbox(sent: Sent, **options: Any) -> Outbox:
    given = {"senders": 2, "capacity": 10, "flush_after": 0.2, "full_for": 0.05} | options
    return Outbox(sent, **given)


def events(*names: str) -> list[tuple[str, Event]]:
    return [(name, Event(SIGNED_IN)) for name in names]


def in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_one_that_waits_sends_for_all_that_wait() -> None:
    sent = Sent(seconds=0.05)
    box = outbox(sent)
    in_threads(16, lambda number: box.commit(events(str(number))))
    assert sorted(name for batch in sent.batches for name in batch) == sorted(map(str, range(16)))
    assert sent.most == 2
    assert len(sent.batches) <= 5


def test_who_commits_takes_along_what_was_added_before_in_order() -> None:
    sent = Sent()
    box = outbox(sent)
    box.add(events("a", "b"))
    box.commit(events("c"))
    assert sent.batches == [["a", "b", "c"]]
    assert box.spooled == 0


def test_what_was_added_is_due_after_a_while_or_at_once_when_it_is_much() -> None:
    now = 0.0
    box = outbox(Sent(), capacity=2 * BATCH, _clock=lambda: now)
    assert box.due_in() is None
    box.add(events("a"))
    now = 0.15
    assert box.due_in() == pytest.approx(0.05)
    box.add(events(*["b"] * BATCH))
    assert box.due_in() == 0.0


def test_a_failure_reaches_everybody_who_waits_and_keeps_what_nobody_waits_for() -> None:
    sent = Sent(seconds=0.05)
    sent.fails = lambda: AuditUnavailable("the log is away")
    box = outbox(sent, senders=1)
    box.add(events("kept"))
    failures: list[AuditUnavailable] = []

    def commit(number: int) -> None:
        with pytest.raises(AuditUnavailable, match="the log is away") as caught:
            box.commit(events(str(number)))
        failures.append(caught.value)

    in_threads(4, commit)
    assert len({id(failure) for failure in failures}) == 4, "each thread has its own traceback"
    assert box.spooled == 1
    sent.fails = lambda: None
    box.flush()
    assert sent.batches == [["kept"]]


def test_who_is_interrupted_leaves_no_other_waiting() -> None:
    sent = Sent()
    sent.fails = KeyboardInterrupt
    box = outbox(sent)
    box.add(events("kept"))
    with pytest.raises(KeyboardInterrupt):
        box.commit(events("interrupted"))
    sent.fails = lambda: None
    box.commit(events("next"))
    assert sent.batches == [["kept", "next"]]


def test_a_full_outbox_makes_room_or_refuses() -> None:
    sent = Sent()
    box = outbox(sent, capacity=2, full_for=2.0)
    box.add(events("a", "b"))
    flushing = threading.Timer(0.1, box.flush)
    flushing.start()
    box.add(events("c"))
    flushing.join()
    assert sent.batches == [["a", "b"]]
    box.add(events("d"))
    with pytest.raises(AuditUnavailable, match="2 events wait in memory already"):
        outbox_without_patience(box).add(events("e"))


def test_a_flush_waits_for_what_others_are_sending_and_may_give_back() -> None:
    sent = Sent(seconds=0.1)
    outcomes = iter([AuditUnavailable("away"), None])
    sent.fails = lambda: next(outcomes)
    box = outbox(sent)
    box.add(events("a"))

    def fail() -> None:
        with pytest.raises(AuditUnavailable):
            box.flush()

    failing = threading.Thread(target=fail)
    failing.start()
    time.sleep(0.03)
    box.flush()
    failing.join()
    assert sent.batches == [["a"]]


def test_much_is_sent_in_several_batches() -> None:
    sent = Sent()
    box = outbox(sent, capacity=10 * BATCH)
    for number in range(2 * BATCH + 1):
        box.add(events(str(number)))
    box.flush()
    assert [len(batch) for batch in sent.batches] == [BATCH, BATCH, 1]


def outbox_without_patience(box: Outbox) -> Outbox:
    box._full_for = 0.0
    return box
