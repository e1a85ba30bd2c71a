"""One flight per key: whoever comes while a key is being fetched waits for that fetch."""

from __future__ import annotations

import copy
import threading
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from vaultdb.errors import KeyUnavailable

K = TypeVar("K", bound=Hashable)

FLIGHT_LIMIT = 60.0
"""Seconds that a thread waits for another's fetch; stores and providers give up long before."""


class Flight:
    """A fetch under way, and how it ended."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.error: Exception | None = None

    def join(self) -> None:
        """Wait for the end, and raise a copy of what the fetch raised."""
        if not self.landed.wait(FLIGHT_LIMIT):
            raise KeyUnavailable("another thread's fetch of the data key takes too long; try again")
        if self.error is not None:
            # A copy: one exception raised in many threads would mix up their tracebacks.
            raise copy.copy(self.error) from None


class Flights(Generic[K]):
    """Fetches under way, by key.

    There is one flight per key and not one lock for all, so a key whose provider is slow does not
    hold up any other. The lock is held for bookkeeping only.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[K, Flight] = {}

    @contextmanager
    def claim(self, keys: Iterable[K]) -> Iterator[tuple[list[K], Sequence[Flight]]]:
        """Give the keys that the caller must fetch inside the block, and others' flights to join.

        The caller's own flights end with the block, and what it raises reaches who waits. Join the
        others only after the block: two callers with overlapping keys would wait for each other.
        """
        mine: dict[K, None] = {}
        theirs: dict[Flight, None] = {}
        own = Flight()  # one for all keys of a claim, which are fetched together
        with self._lock:
            for key in keys:
                flight = self._under_way.setdefault(key, own)
                if flight is own:
                    mine[key] = None
                else:
                    theirs[flight] = None
        try:
            yield list(mine), list(theirs)
        except Exception as error:
            own.error = error
            raise
        finally:
            with self._lock:
                for key in mine:
                    self._under_way.pop(key, None)
            own.landed.set()
