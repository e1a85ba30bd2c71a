"""Leaving a server alone that is down, or that asked to be left alone."""

from __future__ import annotations

import threading

from vaultdb.errors import VaultUnavailable
from vaultdb.keys.clock import BOOT_TIME, Clock

FAILURES = 3
"""Failures in a row after which calls fail at once: one lost connection is no outage."""
PROBE_INTERVAL = 1.0
"""Seconds between the calls that try whether the server is back."""
LONGEST_PAUSE = 30.0
"""Seconds of a `Retry-After` that are believed, at most."""


class CircuitOpen(VaultUnavailable):
    """Not asked, because the last calls failed or the server asked for a pause."""


class Breaker:
    """Opens after failures in a row, lets one probe a second through, closes at any answer.

    A refusal, a wrong certificate and 429 are answers: the first two do not pass by waiting, and
    the last is kept by `pause`.
    """

    def __init__(self, clock: Clock = BOOT_TIME) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._reason = ""
        self._next_probe = 0.0
        self._paused_until = 0.0

    def check(self) -> None:
        """Raise `CircuitOpen` unless a call may be made now."""
        now = self._clock()
        with self._lock:
            if now < self._paused_until:
                raise CircuitOpen("vault limits the rate of calls; try again later")
            if self._failures < FAILURES:
                return
            if now < self._next_probe:
                raise CircuitOpen(f"{self._reason}; it is asked again in a second at the earliest")
            self._next_probe = now + PROBE_INTERVAL

    def succeeded(self) -> None:
        """Note that the server answered."""
        self._failures = 0

    def failed(self, reason: str) -> None:
        """Note that the server did not answer, or cannot serve, in words for the next caller."""
        with self._lock:
            self._failures += 1
            self._reason = reason
            self._next_probe = self._clock() + PROBE_INTERVAL

    def pause(self, seconds: float) -> None:
        """Make no call for this long, as the server asked."""
        self._paused_until = self._clock() + min(seconds, LONGEST_PAUSE)

    def pause_left(self) -> float:
        """Return the seconds until the end of a pause."""
        return max(0.0, self._paused_until - self._clock())
