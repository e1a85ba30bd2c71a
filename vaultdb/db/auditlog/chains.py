"""The chains of one process: each is in one hand at a time, from a link until it is committed."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vaultdb.after_fork import reset_in_children
from vaultdb.audit.chain import Chain, Record
from vaultdb.audit.event import Event, Identity, Json, timestamp
from vaultdb.audit.kinds import CHAIN_CLOSED, CHAIN_OPENED
from vaultdb.audit.opening import Opening, opening_digest
from vaultdb.db.auditlog.process import Process


@dataclass(slots=True)
class Held:
    """A chain in somebody's hand, and what events say of the process.

    Args:
        chain: the chain.
        identity: the login that it was opened for, and the Vault entity.
        opening: to be stored with the first records; None once it is.
        opened_at: seconds of the monotonic clock.

    """

    chain: Chain
    identity: Identity
    opening: Opening | None
    opened_at: float

    def link(self, events: Iterable[tuple[str, Event]]) -> list[Record]:
        """Return the records of events, each with its time; a new chain's opening comes first."""
        records = []
        if self.opening is not None and self.chain.head.seq == 0:
            digest = opening_digest(self.opening.text())
            opened = Event(CHAIN_OPENED, {"opening": digest})
            records.append(self._link(self.opening.at, opened))
        records += [self._link(at, event) for at, event in events]
        return records

    def close(self, reason: str) -> Record:
        """Return the last record of the chain."""
        return self._link(timestamp(), Event(CHAIN_CLOSED, {"reason": reason}))

    def _link(self, at: str, event: Event) -> Record:
        return self.chain.link(at, event.body(self.identity, self.chain))


class Chains:
    """Lends the chains of one process; opens another one when none of the login is at hand.

    So there are as many as transactions that commit at the same time, however many connections
    come and go. A chain whose last records may or may not be stored is never used again: nobody
    could tell which record is its next one.

    Args:
        process: opens chains.
        age: seconds after which a chain is closed and replaced.

    """

    def __init__(
        self, process: Process, *, age: float, _clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._process = process
        self._age = age
        self._clock = _clock
        self.reset_after_fork()
        reset_in_children(self)

    def prepare(self, login: str) -> None:
        """Open a chain unless there is one: this may ask Vault, while borrowing then does not.

        Raises:
            VaultError: Vault does not certify the process.

        """
        with self._lock:
            is_there = any(self._is_young(held) for held in self._idle[login])
        if not is_there:
            self._put_back(self._open(login))

    def has(self, login: str) -> bool:
        """Return whether there is a chain to borrow."""
        return any(self._is_young(held) for held in tuple(self._idle.get(login, ())))

    @contextmanager
    def borrowed(self, login: str, *, reusable: bool = True) -> Iterator[Held]:
        """Lend a chain to one thread, which stores what it links.

        When that fails the chain is not used again, unless its head was restored. So a record
        that may have been stored is never followed by another of the same seq.

        Args:
            login: of the connection.
            reusable: False if what is linked may be rolled back later.

        Raises:
            VaultError: a chain must be opened, and Vault does not certify the process.

        """
        held = self._take(login) or self._open(login)
        before = held.chain.head
        try:
            yield held
        except BaseException:
            if held.chain.head is before:
                self._put_back(held)
            else:
                self._forget(held)
            raise
        held.opening = None
        if reusable:
            self._put_back(held)
        else:
            self._forget(held)

    def heads(self) -> list[Json]:
        """Return the last stored record of every chain that may go on: id and seq."""
        with self._lock:
            return [{"chain": chain, "seq": seq} for chain, seq in self._heads.items()]

    def take_old(self) -> list[Held]:
        """Take out the chains that are too old, for somebody to close them."""
        return self._take_out(lambda held: not self._is_young(held))

    def take_all(self) -> list[Held]:
        """Take out every chain that nobody uses, for somebody to close it."""
        return self._take_out(lambda _held: True)

    def reset_after_fork(self) -> None:
        """Leave the chains to the parent."""
        self._lock = threading.Lock()
        self._idle: defaultdict[str, list[Held]] = defaultdict(list)
        self._heads: dict[str, int] = {}

    def _open(self, login: str) -> Held:
        chain, opening, identity = self._process.open(login)
        return Held(chain, identity, opening, self._clock())

    def _is_young(self, held: Held) -> bool:
        return self._clock() < held.opened_at + self._age

    def _take(self, login: str) -> Held | None:
        with self._lock:
            idle = self._idle[login]
            for at in range(len(idle) - 1, -1, -1):
                if self._is_young(idle[at]):
                    return idle.pop(at)
        return None

    def _put_back(self, held: Held) -> None:
        with self._lock:
            self._idle[held.identity.login].append(held)
            if held.opening is None:
                self._heads[held.chain.id.hex] = held.chain.head.seq - 1

    def _forget(self, held: Held) -> None:
        with self._lock:
            self._heads.pop(held.chain.id.hex, None)

    def _take_out(self, is_unwanted: Callable[[Held], bool]) -> list[Held]:
        """Return those that have anything in the log, the others are just dropped."""
        taken: list[Held] = []
        with self._lock:
            for login, idle in self._idle.items():
                taken += filter(is_unwanted, idle)
                self._idle[login] = [held for held in idle if not is_unwanted(held)]
            for held in taken:
                self._heads.pop(held.chain.id.hex, None)
        return [held for held in taken if held.opening is None]
