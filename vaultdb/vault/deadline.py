"""A total deadline per call, which also a server that sends one byte a second cannot stretch.

The timeouts of `requests` hold for each read, so an answer in drips takes for ever. Here a call
sets its deadline for its thread, and the sockets give every single wait no more than what is left.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SHORTEST_WAIT = 0.001
"""Seconds given to a wait when nothing is left: 0 would mean a non-blocking socket."""


class _Ends(threading.local):
    at: float | None = None


_ends = _Ends()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give the block's network calls at most `seconds` in all; an outer deadline stays in force."""
    before = _ends.at
    at = time.monotonic() + seconds
    _ends.at = at if before is None else min(at, before)
    try:
        yield
    finally:
        _ends.at = before


def time_left(otherwise: float) -> float:
    """Return the seconds left, at least `SHORTEST_WAIT`, or `otherwise` without a deadline."""
    if _ends.at is None:
        return otherwise
    return max(_ends.at - time.monotonic(), SHORTEST_WAIT)


def is_over() -> bool:
    """Whether this thread's deadline has passed."""
    return _ends.at is not None and time.monotonic() >= _ends.at


class DeadlineSocket(ssl.SSLSocket):
    """A TLS socket whose every wait ends with the thread's deadline at the latest."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive, within what is left."""
        self._shorten()
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Send, within what is left."""
        self._shorten()
        return super().send(*args, **kwargs)

    def _shorten(self) -> None:
        if _ends.at is not None:
            left = time_left(SHORTEST_WAIT)
            limit = self.gettimeout()
            self.settimeout(left if limit is None else min(limit, left))
            if is_over():
                raise TimeoutError("the deadline of the call has passed")
