"""Events of a transaction under way, kept until just before it commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from vaultdb.audit.event import Event

_KEY = "vaultdb.audit"
"""In the `info` of a pooled connection."""


class Committer(Protocol):
    """Writes the events of a transaction and commits it."""

    def commit_with(
        self,
        lent: Any,
        events: Sequence[Event],
        commit: Callable[[], None],
        *,
        is_final: bool = True,
    ) -> None:
        """Write events on a connection, and commit them together with its transaction.

        Args:
            lent: the pool's connection.
            events: at least one.
            commit: commits the transaction, or prepares it.
            is_final: whether the events surely stay once `commit` returns.

        Raises:
            AuditUnavailable: they could not be written; nothing is committed.

        """
        ...


class Pending:
    """The events of one transaction, in order, and where its savepoints are among them."""

    __slots__ = ("_savepoints", "committer", "events")

    def __init__(self) -> None:
        self.committer: Committer | None = None
        self.events: list[Event] = []
        self._savepoints: list[tuple[str, int]] = []

    def add(self, committer: Committer, events: Sequence[Event]) -> None:
        """Keep events of the transaction."""
        self.committer = committer
        self.events += events

    def savepoint(self, name: str) -> None:
        """Remember where a savepoint is."""
        self._savepoints.append((name, len(self.events)))

    def roll_back_to(self, name: str) -> None:
        """Forget the events since a savepoint, which stays."""
        at = self._find(name)
        if at is not None:
            del self.events[self._savepoints[at][1] :]
            del self._savepoints[at + 1 :]

    def release(self, name: str) -> None:
        """Forget a savepoint and those within it; their events stay."""
        at = self._find(name)
        if at is not None:
            del self._savepoints[at:]

    def _find(self, name: str) -> int | None:
        """Return the place of the newest savepoint of that name, which hides older ones."""
        places = range(len(self._savepoints) - 1, -1, -1)
        return next((at for at in places if self._savepoints[at][0] == name), None)


def pending_of(lent: Any) -> Pending:
    """Return the events of the transaction on a pool's connection, none at first."""
    pending: Pending = _info(lent).setdefault(_KEY, Pending())
    return pending


def find_pending(lent: Any) -> Pending | None:
    """Return the same, or None when nothing was kept."""
    found: Pending | None = _info(lent).get(_KEY)
    return found


def forget_pending(lent: Any) -> None:
    """Forget the events of the transaction, which has ended."""
    _info(lent).pop(_KEY, None)


def _info(lent: Any) -> dict[Any, Any]:
    try:
        info: dict[Any, Any] = lent.info
    except NotImplementedError:
        return {}  # SQLAlchemy's first questions, before the pool has the connection
    return info
