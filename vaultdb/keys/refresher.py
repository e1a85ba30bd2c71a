"""Refresh ahead: one background thread, alive only while there is something to refresh."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from vaultdb.keys.helper_thread import start_in_background
from vaultdb.keys.wrapped_key import KeyScope


class Refresher:
    """Collects scopes that are due and reads them together, away from the threads that noticed.

    Args:
        read: reads scopes anew; what it raises is its own business.

    """

    def __init__(self, read: Callable[[Collection[KeyScope]], None]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._due: set[KeyScope] = set()
        self._running = False

    def ask(self, scope: KeyScope) -> None:
        """Have a scope read soon."""
        with self._lock:
            self._due.add(scope)
            start = not self._running
            self._running = True
        if start and not start_in_background(self._run):
            self._running = False

    def _run(self) -> None:
        while True:
            with self._lock:
                due, self._due = self._due, set()
                if not due:
                    self._running = False
                    return
            self._read(due)
