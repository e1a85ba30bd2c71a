"""Give each sink the newest checkpoint, and again until it has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from vaultdb.audit.chain import Record
from vaultdb.audit.note import NoteError
from vaultdb.audit.sink import Sink
from vaultdb.errors import AuditUnavailable, ConfigurationError
from vaultdb.jobs.audit.signing import NoteSigner, Signed
from vaultdb.jobs.audit.sinks.notes import Remembers
from vaultdb.jobs.audit.sinks.opening import open_sink
from vaultdb.keys.clock import BOOT_TIME, Clock
from vaultdb.logs import AUDIT

FIRST_PAUSE = 1.0
"""Seconds after the first failure of a sink; they double with each."""
LONGEST_PAUSE = 60.0
"""Seconds between two tries, at most."""


@dataclass(slots=True)
class _Kept:
    """One sink, and what it still has to get."""

    name: str
    sink: Sink
    every: float
    waiting: Signed | None = None
    not_before: float = 0.0
    failures: int = 0
    missed: int | None = None

    def tell_missed(self, upto: int | None) -> None:
        """Name the leaves whose records the sink did not take."""
        if self.missed is not None:
            AUDIT.error(
                "%s did not take the records of the leaves from %d to %s; send them with:"
                " vaultdb audit export",
                self.name,
                self.missed,
                "the last" if upto is None else upto - 1,
            )
        self.missed = None


class Exporter:
    """Checkpoints and records for any number of sinks; used by one thread.

    Args:
        checkpoints: names, sinks and seconds between two checkpoints, 0 for all.
        records: names and sinks.

    """

    def __init__(
        self,
        checkpoints: Iterable[tuple[str, Sink, float]] = (),
        records: Iterable[tuple[str, Sink]] = (),
        *,
        _clock: Clock = BOOT_TIME,
    ) -> None:
        self._checkpoints = [_Kept(*each) for each in checkpoints]
        self._records = [_Kept(name, sink, 0.0) for name, sink in records]
        self._clock = _clock

    @classmethod
    @contextmanager
    def opened(cls, checkpoints: Sequence[str], records: Sequence[str] = ()) -> Iterator[Self]:
        """Open the sinks of these URLs, and close them afterwards.

        Raises:
            ConfigurationError: a sink cannot be opened.

        """
        exporter = cls()
        try:
            for text in checkpoints:
                address, sink = open_sink(text)
                kept = _Kept(address.name, sink, 0.0)
                exporter._checkpoints.append(kept)
                kept.every = address.take_number("every", 0.0)
                address.check_all_taken()
            for text in records:
                address, sink = open_sink(text)
                exporter._records.append(_Kept(address.name, sink, 0.0))
                address.check_all_taken()
            yield exporter
        finally:
            exporter.close()

    @property
    def is_empty(self) -> bool:
        """Whether there is no sink for checkpoints."""
        return not self._checkpoints

    @property
    def late(self) -> list[str]:
        """The names of sinks that failed to take the newest checkpoint."""
        return [each.name for each in self._checkpoints if each.failures]

    def newest(self, signer: NoteSigner, place: tuple[int, int]) -> Signed | None:
        """Return the newest checkpoint from a place on that any sink has kept.

        Args:
            signer: knows which keys are trusted.
            place: epoch and size; older ones do not matter.

        Raises:
            AuditUnavailable: a sink cannot be read.

        """
        found: list[Signed] = []
        for each in self._checkpoints:
            if not isinstance(each.sink, Remembers):
                continue
            try:
                kept = next(_verified(each.sink.kept(place), signer), None)
            except OSError as error:
                raise AuditUnavailable(
                    f"cannot read the exported checkpoints in {each.name}: {_said(error)}"
                ) from None
            if kept is not None:
                found.append(kept)
        return max(found, key=lambda signed: signed.place, default=None)

    def offer(self, signed: Signed) -> None:
        """Let each sink have this checkpoint, in place of any that it still waits for."""
        for each in self._checkpoints:
            each.waiting = signed

    def flush(self, *, everything: bool = False) -> None:
        """Give sinks what they wait for; those that failed before get time to recover.

        Args:
            everything: whether those are tried too whose time has not come.

        """
        now = self._clock()
        for each in self._checkpoints:
            if each.waiting is not None and (everything or now >= each.not_before):
                self._give(each, each.waiting)

    def tell(self, first: int, records: Sequence[Record]) -> None:
        """Give records to the sinks of records; what one does not take is told, and not kept.

        Args:
            first: the index of the first one's leaf.
            records: in the order of their leaves.

        """
        for each in self._records:
            missed = first if each.missed is None else min(first, each.missed)
            if self._clock() < each.not_before:
                each.missed = missed
                continue
            try:
                each.sink.records(records)
            except Exception as error:  # noqa: BLE001  # whatever another package raises
                each.missed = missed
                self._failed(each, "records", error)
                continue
            each.tell_missed(first)
            each.failures = 0

    def close(self) -> None:
        """Close all sinks."""
        for each in self._records:
            each.tell_missed(None)
        for each in (*self._checkpoints, *self._records):
            each.sink.close()

    def _give(self, each: _Kept, signed: Signed) -> None:
        try:
            each.sink.checkpoint(signed.note)
        except Exception as error:  # noqa: BLE001  # whatever another package raises
            self._failed(each, "checkpoints", error)
            return
        if each.failures:
            AUDIT.warning("%s takes checkpoints again", each.name)
        each.failures, each.waiting = 0, None
        each.not_before = self._clock() + each.every

    def _failed(self, each: _Kept, what: str, error: Exception) -> None:
        """Leave the sink alone for a while: each try may cost as long as its timeout."""
        pause = min(FIRST_PAUSE * 2.0 ** min(each.failures, 10), LONGEST_PAUSE)
        each.not_before = self._clock() + pause
        each.failures += 1
        if each.failures == 1:
            AUDIT.warning("%s does not take %s: %s", each.name, what, _said(error))


def _verified(notes: Iterable[str], signer: NoteSigner) -> Iterator[Signed]:
    """Leave out what another realm signed, or nobody."""
    for note in notes:
        try:
            yield signer.read(note)
        except NoteError:
            continue


def _said(error: Exception) -> str:
    """Return what is safe to show: foreign texts may hold a header or an address with a token."""
    if isinstance(error, ConfigurationError) or type(error) is OSError:
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
