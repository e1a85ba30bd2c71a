"""The sequencer's loop: outages are waited for, a log that was changed is not."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from uuid import UUID

import pytest

from tests.unit.jobs.audit.notes import REALM, signed_notes
from vaultdb.audit.auditor import NullAuditor
from vaultdb.audit.event import Event
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.merkle import Frontier
from vaultdb.errors import AuditUnavailable, VaultDBError, VaultUnavailable
from vaultdb.jobs.audit import sequencer_loop
from vaultdb.jobs.audit.sequencer import Step
from vaultdb.jobs.audit.sequencer_gaps import Gap, Gaps
from vaultdb.jobs.audit.sequencer_loop import Loop
from vaultdb.jobs.audit.sequencer_rows import Waiting
from vaultdb.jobs.audit.signing import CheckpointRefused, LogState, NoteSigner, Signed
from vaultdb.jobs.audit.sinks.exporter import Exporter

CHAIN = UUID(int=7)


class Scripted:
    """A sequencer that does what it is told, and then stops the loop."""

    def __init__(self, *steps: Step | Exception) -> None:
        self.steps = list(steps)
        self.stop = threading.Event()
        self.followed: list[Signed | None] = []

    def state(self) -> LogState:
        return LogState(1, Frontier(), None)

    def must_follow(self, exported: Signed | None) -> None:
        self.followed.append(exported)

    def step(self) -> Step:
        step = self.steps.pop(0)
        if not self.steps:
            self.stop.set()
        if isinstance(step, Exception):
            raise step
        return step


class Recording(NullAuditor):
    def __init__(self, error: Exception | None = None) -> None:
        self.events: list[Event] = []
        self.error = error

    def commit(self, *events: Event) -> None:
        if self.error:
            raise self.error
        self.events.extend(events)


def loop_of(
    sequencer: Scripted, auditor: Recording | None = None, told: list[Step] | None = None
) -> Loop:
    return Loop(
        sequencer,  # type: ignore[arg-type]
        NoteSigner(REALM, MemoryAuditKeys()),
        Exporter(),
        auditor or Recording(),
        told=(told if told is not None else []).append,
    )


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer_loop, "LONGEST_PAUSE", 0.001)


def messages(caplog: pytest.LogCaptureFixture) -> Sequence[str]:
    return [entry.getMessage() for entry in caplog.records]


def test_an_outage_is_told_once_and_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    (signed,) = signed_notes(1)
    done = Step(signed, added=1)
    scripted = Scripted(AuditUnavailable("gone"), VaultUnavailable("sealed"), done)
    outcome = loop_of(scripted).forever(0.001, scripted.stop)
    assert outcome.step == done
    assert outcome.is_good
    assert messages(caplog) == [
        "the audit log gets no checkpoints now: gone",
        "the audit log gets checkpoints again",
    ]
    assert len(scripted.followed) == 1


@pytest.mark.parametrize("error", [CheckpointRefused("changed"), VaultDBError("denied")])
def test_what_waiting_does_not_mend_ends_the_loop(error: Exception) -> None:
    scripted = Scripted(error, Step())
    with pytest.raises(type(error)):
        loop_of(scripted).forever(0.001, scripted.stop)


def test_all_that_waits_is_done_without_a_pause() -> None:
    told: list[Step] = []
    scripted = Scripted(Step(is_behind=True), Step(is_behind=True), Step())
    loop_of(scripted, told=told).forever(0.0, scripted.stop)
    assert len(told) == 3
    scripted = Scripted(Step(is_behind=True), Step(), Step(added=1))
    assert loop_of(scripted).once().step == Step()


def test_each_gap_becomes_one_event(caplog: pytest.LogCaptureFixture) -> None:
    new, known = Gap(CHAIN, 5, 11.7, is_new=True), Gap(CHAIN, 5, 12.7, is_new=False)
    auditor = Recording()
    scripted = Scripted(Step(gaps=(new,)), Step(gaps=(known,)))
    outcome = loop_of(scripted, auditor).forever(0.001, scripted.stop)
    assert (outcome.gaps, outcome.is_good) == (1, False)
    (event,) = auditor.events
    assert (event.kind.name, event.fields["seq"], event.fields["waiting"]) == ("audit.gap", 5, 11)
    scripted = Scripted(Step(gaps=(new,)))
    loop_of(scripted, Recording(AuditUnavailable("full"))).forever(0.001, scripted.stop)
    assert "could not be recorded: full" in caplog.text


def test_a_gap_is_told_after_a_while_by_either_clock() -> None:
    now = [0.0]
    gaps = Gaps(10, _clock=lambda: now[0])

    def look(seconds: float, *, everything: bool = True) -> list[float]:
        waiting = [Waiting(CHAIN, 3, 5, seconds), Waiting(UUID(int=8), 3, 4, 99)]
        return [gap.seconds for gap in gaps.look(waiting, everything=everything)]

    assert look(9) == []
    assert look(10) == [10]
    now[0] = 12
    assert look(-3600) == [12]  # the server's clock was set back
    assert gaps.look([], everything=False) == ()
    now[0] = 13
    assert look(1) == [13]
    assert gaps.look([], everything=True) == ()  # it was filled
    assert look(1) == []
