"""Each sink gets the newest checkpoint, and again until it has it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import pytest

from tests.unit.jobs.audit.notes import REALM, record, signed_notes
from vaultdb.audit.chain import Record
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.errors import AuditUnavailable
from vaultdb.jobs.audit.signing import NoteSigner
from vaultdb.jobs.audit.sinks.exporter import Exporter


class Shelf:
    """A sink that fails when told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.notes: list[str] = []
        self.seen: list[Record] = []
        self.tries = 0

    def checkpoint(self, note: str) -> None:
        self.tries += 1
        if self.error:
            raise self.error
        self.notes.append(note)

    def records(self, records: Sequence[Record]) -> None:
        if self.error:
            raise self.error
        self.seen.extend(records)

    def kept(self, place: tuple[int, int]) -> Iterator[str]:
        if self.error:
            raise self.error
        yield from reversed(self.notes)

    def close(self) -> None:
        self.notes.append("closed")


def test_a_sink_that_failed_gets_the_newest_once_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    good, bad = Shelf(), Shelf(OSError("the disk is full"))
    exporter = Exporter([("good", good, 0), ("bad", bad, 0)], _clock=lambda: now[0])
    notes = signed_notes(4)
    for signed in notes[:3]:
        exporter.offer(signed)
        exporter.flush()
    assert good.notes == [signed.note for signed in notes[:3]]
    assert (bad.tries, exporter.late) == (1, ["bad"])  # it gets time to recover
    bad.error = None
    now[0] = 1.5
    exporter.flush()
    assert (bad.notes, exporter.late) == ([notes[2].note], [])
    assert [entry.getMessage() for entry in caplog.records] == [
        "bad does not take checkpoints: the disk is full",
        "bad takes checkpoints again",
    ]


def test_pauses_grow_and_a_last_try_waits_for_none_of_them() -> None:
    now = [0.0]
    bad = Shelf(OSError())
    exporter = Exporter([("bad", bad, 0)], _clock=lambda: now[0])
    exporter.offer(signed_notes(1)[0])
    for tenth in range(100):
        now[0] = tenth / 10
        exporter.flush()
    assert bad.tries == 4  # at 0, 1, 3 and 7 seconds
    exporter.flush(everything=True)
    assert bad.tries == 5


def test_a_sink_may_take_fewer_checkpoints() -> None:
    now, seldom = [0.0], Shelf()
    exporter = Exporter([("seldom", seldom, 10)], _clock=lambda: now[0])
    for second, signed in enumerate(signed_notes(25)):
        now[0] = second
        exporter.offer(signed)
        exporter.flush()
    assert len(seldom.notes) == 3


def test_what_another_package_raises_stops_nothing_and_is_not_quoted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = Shelf(ValueError("token s.123"))
    exporter = Exporter([("bad", bad, 0)], [("bad", bad)])
    exporter.offer(signed_notes(1)[0])
    exporter.flush()
    exporter.tell(7, [record(), record(1)])
    assert "does not take checkpoints: ValueError" in caplog.text
    assert "does not take records: ValueError" in caplog.text
    assert "s.123" not in caplog.text


def test_the_leaves_whose_records_a_sink_did_not_take_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now, bad = [0.0], Shelf(OSError("gone"))
    exporter = Exporter([], [("bad", bad)], _clock=lambda: now[0])
    exporter.tell(0, [record(0), record(1)])
    exporter.tell(2, [record(2)])  # it gets time to recover
    bad.error = None
    now[0] = 2
    with caplog.at_level(logging.ERROR):
        exporter.tell(3, [record(3)])
    assert bad.seen == [record(3)]
    assert "the leaves from 0 to 2" in caplog.text
    caplog.clear()
    bad.error = OSError()
    exporter.tell(4, [record(4)])
    exporter.close()
    assert "the leaves from 4 to the last" in caplog.text


def test_the_newest_kept_is_found_among_what_others_signed() -> None:
    keys = MemoryAuditKeys()
    ours, theirs = signed_notes(3, keys=keys), signed_notes(5)
    signer = NoteSigner(REALM, keys)
    one, two = Shelf(), Shelf()
    one.notes = [ours[0].note, "nonsense", theirs[4].note]
    two.notes = [ours[1].note, theirs[3].note]
    exporter = Exporter([("one", one, 0), ("two", two, 0)])
    assert exporter.newest(signer, (1, 0)) == ours[1]
    assert Exporter().newest(signer, (1, 0)) is None
    two.error = OSError("gone")
    with pytest.raises(AuditUnavailable, match="two: gone"):
        exporter.newest(signer, (1, 0))
