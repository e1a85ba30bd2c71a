"""Events on their way into the log: some that somebody waits for, others that may wait a little."""

from __future__ import annotations

import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vaultdb.audit.event import Event
from vaultdb.errors import AuditUnavailable

Stamped = tuple[str, Event]
"""An event and the time of it."""

BATCH = 1_000
"""Events that one statement writes, about."""
FULL_FOR = 5.0
"""Seconds that somebody waits for a place among the events in memory."""


@dataclass(slots=True, eq=False)
class Parcel:
    """Events that were handed over together, each with its time.

    Args:
        events: in order.
        added_at: seconds of the monotonic clock.
        waits: whether somebody waits until they are committed.
        is_waiting: whether nobody is sending them yet.
        is_done: whether they were sent, or could not be.
        error: why not.

    """

    events: Sequence[Stamped]
    waits: bool
    added_at: float
    is_waiting: bool = True
    is_done: bool = False
    error: Exception | None = None


class Outbox:
    """Hands events to the log in batches, from any thread.

    Whoever waits and finds a free connection writes what everybody waits for, himself. The others
    wait for him: a busy log has few large transactions and not many small ones.

    Args:
        send: writes events of some parcels in one transaction; called from several threads.
        senders: how many of them at most.
        capacity: events that may be in memory, which nobody waits for.
        flush_after: seconds that they may be.
        full_for: seconds that somebody waits for a place among them.

    """

    def __init__(
        self,
        send: Callable[[Sequence[Stamped]], None],
        *,
        senders: int,
        capacity: int,
        flush_after: float,
        full_for: float = FULL_FOR,
        _clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._senders = senders
        self._capacity = capacity
        self._flush_after = flush_after
        self._full_for = full_for
        self._clock = _clock
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Leave what is waiting to the parent, which sends it."""
        self.changed = threading.Condition()
        self._urgent: deque[Parcel] = deque()
        self._spool: deque[Parcel] = deque()
        self._spooled = 0
        self._sending = 0

    @property
    def spooled(self) -> int:
        """Events in memory that nobody waits for."""
        return self._spooled

    @property
    def is_full(self) -> bool:
        """Whether who adds events has to wait for a place."""
        return self._spooled >= self._capacity

    def commit(self, events: Sequence[Stamped]) -> None:
        """Send events, and return when they are committed.

        Raises:
            AuditUnavailable: they are not.

        """
        parcel = Parcel(events, waits=True, added_at=self._clock())
        with self.changed:
            self._urgent.append(parcel)
            while parcel.is_waiting and self._sending >= self._senders:
                self.changed.wait()
            batch = self._take() if parcel.is_waiting else []
            while not batch and not parcel.is_done:
                self.changed.wait()
        if batch:
            self._deliver(batch)
        if parcel.error is not None:
            raise parcel.error

    def add(self, events: Sequence[Stamped]) -> None:
        """Keep events until the next batch.

        Raises:
            AuditUnavailable: there has been no place for them for some time.

        """
        with self.changed:
            if not self.changed.wait_for(lambda: not self.is_full, timeout=self._full_for):
                raise AuditUnavailable(
                    f"the audit log cannot be written, and {self._spooled} events wait in memory"
                    " already; see whether its database runs"
                )
            self._keep(events)

    def add_at_once(self, events: Sequence[Stamped]) -> None:
        """Keep events until the next batch; call this with `changed` held."""
        self._keep(events)

    def due_in(self) -> float | None:
        """Return the seconds until the next batch is due; None when there is nothing to send."""
        if not self._spool:
            return None
        if self._spooled >= BATCH:
            return 0.0
        return self._spool[0].added_at + self._flush_after - self._clock()

    def flush(self) -> None:
        """Send what is in memory, and return when it is committed.

        Raises:
            AuditUnavailable: it is not; it stays in memory.

        """
        while batch := self._next():
            self._deliver(batch)
            if (error := batch[0].error) is not None:
                raise error

    def _keep(self, events: Sequence[Stamped]) -> None:
        self._spool.append(Parcel(events, waits=False, added_at=self._clock()))
        self._spooled += len(events)
        if len(self._spool) == 1 or self._spooled >= BATCH:
            self.changed.notify_all()

    def _next(self) -> list[Parcel]:
        with self.changed:
            while not (self._spool or self._urgent) and self._sending:
                self.changed.wait()  # for what others may have to give back
            self.changed.wait_for(lambda: self._sending < self._senders)
            return self._take() if self._spool or self._urgent else []

    def _take(self) -> list[Parcel]:
        """Take out everything that somebody waits for, and of the rest what fits."""
        self._sending += 1
        batch, size = list(self._urgent), 0
        self._urgent.clear()
        while self._spool and size < BATCH:
            batch.append(self._spool.popleft())
            size += len(batch[-1].events)
        for parcel in batch:
            parcel.is_waiting = False
        return sorted(batch, key=lambda parcel: parcel.added_at)

    def _deliver(self, batch: Sequence[Parcel]) -> None:
        failure: Exception | None = AuditUnavailable("the audit log was interrupted; try again")
        try:
            self._send([event for parcel in batch for event in parcel.events])
            failure = None
        except Exception as error:  # noqa: BLE001  # told to everybody who waits
            failure = error
        finally:
            with self.changed:
                self._sending -= 1
                self._settle(batch, failure)
                self.changed.notify_all()

    def _settle(self, batch: Sequence[Parcel], failure: Exception | None) -> None:
        for parcel in reversed(batch):
            parcel.error = None if failure is None else copy.copy(failure)
            parcel.is_done = True
            if parcel.waits:
                continue
            if failure is None:
                self._spooled -= len(parcel.events)
            else:
                parcel.is_waiting = True
                self._spool.appendleft(parcel)
