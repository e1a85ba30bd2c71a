"""Counting values that were read as plaintext, so that one can tell when there are none left."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from vaultdb.after_fork import reset_in_children
from vaultdb.logs import ADOPTION

if TYPE_CHECKING:
    from vaultdb.orm.types import Encrypted

_warned: Final[set[str]] = set()


class PlaintextReads:
    """How often each column of one engine was read from its plaintext column."""

    __slots__ = ("__weakref__", "_counts", "_lock")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self.reset_after_fork()
        reset_in_children(self)

    def follow(self, column: str) -> None:
        """Count a column from now on: it is there with 0 when nothing was read as plaintext."""
        with self._lock:
            self._counts.setdefault(column, 0)

    def add(self, column: str) -> None:
        """Count one value."""
        with self._lock:
            self._counts[column] = self._counts.get(column, 0) + 1

    def counts(self) -> dict[str, int]:
        """Return the numbers by logical name."""
        with self._lock:
            return dict(self._counts)

    def reset_after_fork(self) -> None:
        """Replace the lock in a forked child; a thread of the parent may have held it."""
        self._lock = threading.Lock()


def warn_once(type_: Encrypted[Any]) -> None:
    """Log that plaintext is still allowed, once for each column in this process."""
    name = type_.identity.logical_name
    if name not in _warned:
        _warned.add(name)
        ADOPTION.warning(
            "plaintext is allowed: %s is also written to the column %s, and read from it; declare "
            'plaintext="forbid" when all rows are encrypted',
            name,
            type_.options.adopts,
        )
