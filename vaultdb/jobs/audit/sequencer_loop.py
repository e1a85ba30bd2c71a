"""Sequence the log again and again, export what is signed, and tell of what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from vaultdb.audit.auditor import Auditor
from vaultdb.audit.event import Event, Json
from vaultdb.audit.kinds import AUDIT_GAP
from vaultdb.engine.auditing import operator
from vaultdb.errors import AuditUnavailable, VaultDBError, VaultUnavailable
from vaultdb.jobs.audit.sequencer import Sequencer, Step
from vaultdb.jobs.audit.sequencer_gaps import Gap
from vaultdb.jobs.audit.signing import NoteSigner
from vaultdb.jobs.audit.sinks.exporter import Exporter
from vaultdb.logs import AUDIT

EVERY = 1.0
"""Seconds from one step to the next: as wide is the window in which a record has no signature."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
"""Seconds between two tries while the database or Vault is away."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Args:
        step: the last one that did something, or the last one.
        gaps: how many gaps were told.
        is_busy: whether another sequencer was at work at last.
        late: sinks that do not have the newest checkpoint.

    """

    step: Step
    gaps: int
    is_busy: bool
    late: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether every record has a leaf, and every sink the newest checkpoint."""
        return not (self.gaps or self.is_busy or self.late)


class Loop:
    """A sequencer with its sinks.

    Args:
        sequencer: does the work.
        signer: its signer.
        exporter: gets every checkpoint after it is committed.
        auditor: records what is wrong.
        upkeep: called now and then, such as to make partitions; may fail.
        told: called after each step.

    """

    def __init__(
        self,
        sequencer: Sequencer,
        signer: NoteSigner,
        exporter: Exporter,
        auditor: Auditor,
        *,
        upkeep: Callable[[], None] = lambda: None,
        told: Callable[[Step], None] = lambda _: None,
    ) -> None:
        self._sequencer = sequencer
        self._signer = signer
        self._exporter = exporter
        self._auditor = auditor
        self._upkeep = upkeep
        self._told = told
        self._gaps = 0

    def start(self) -> None:
        """Compare the log with what was exported, and export its newest checkpoint again.

        Raises:
            As `Sequencer.step`.

        """
        state = self._sequencer.state()
        self._sequencer.must_follow(self._exporter.newest(self._signer, state.place))
        state = self._sequencer.state()
        if state.newest is not None:  # a crash may have come between commit and export
            self._exporter.offer(state.newest)
        self._exporter.flush()

    def once(self) -> Outcome:
        """Sequence all that is there.

        Raises:
            As `Sequencer.step`.

        """
        self.start()
        self._upkeep()
        step = self._step()
        while step.is_behind:
            step = self._step()
        self._exporter.flush(everything=True)
        return self._outcome(step)

    def forever(self, every: float, stop: threading.Event) -> Outcome:
        """Sequence until told to stop; an outage is waited for.

        Args:
            every: seconds from the beginning of one step to the next.
            stop: ends the run after the step at hand.

        Raises:
            CheckpointRefused: the log is not what was signed before.
            VaultDBError: something that waiting does not mend.

        """
        step, pause, has_started = Step(), 0.0, False
        while not stop.is_set():
            began = monotonic()
            try:
                if not has_started:
                    self.start()
                    has_started = True
                self._upkeep()
                step = self._step()
            except (AuditUnavailable, VaultUnavailable) as error:
                if not pause:
                    AUDIT.warning("the audit log gets no checkpoints now: %s", error)
                pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
                stop.wait(pause)
                continue
            if pause:
                AUDIT.warning("the audit log gets checkpoints again")
            pause = 0.0
            if not step.is_behind:
                stop.wait(max(0.0, every - (monotonic() - began)))
        self._exporter.flush(everything=True)
        return self._outcome(step)

    def _step(self) -> Step:
        step = self._sequencer.step()
        if step.added and step.signed:
            self._exporter.offer(step.signed)
        self._exporter.flush()
        for gap in step.gaps:
            if gap.is_new:
                self._gaps += 1
                self._record(gap)
        self._told(step)
        return step

    def _record(self, gap: Gap) -> None:
        fields: dict[str, Json] = {
            "chain": gap.chain.hex,
            "seq": gap.seq,
            "waiting": int(gap.seconds),
        }
        try:
            self._auditor.commit(Event(AUDIT_GAP, fields, operator()))
        except VaultDBError as error:  # it is in the process's own log already
            AUDIT.error("the gap in the chain %s could not be recorded: %s", gap.chain, error)

    def _outcome(self, step: Step) -> Outcome:
        return Outcome(step, self._gaps, step.is_busy, tuple(self._exporter.late))
