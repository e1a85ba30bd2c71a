"""The thread that sends what waits in memory, and tells how long the chains are."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from vaultdb.errors import VaultDBError
from vaultdb.logs import AUDIT

RETRY_AFTER = 1.0
"""Seconds after which a log that could not be written is tried again."""
STOP_TIMEOUT = 15.0
"""Seconds that a stop waits for a batch under way: longer than the log waits for an answer."""


class Work(Protocol):
    """What the thread does."""

    changed: threading.Condition
    """notified when there may be something to do"""

    def wait_for_work(self) -> float | None:
        """Return the seconds until something is to be done; None if there is nothing."""
        ...

    def do(self) -> None:
        """Do what is due.

        Raises:
            VaultDBError: it cannot be done now.

        """
        ...


class Flusher:
    """A daemon thread, started when it is first needed; a forked child needs one of its own.

    Args:
        work: told about by `work.changed`.

    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._thread: threading.Thread | None = None

    @property
    def runs(self) -> bool:
        """Whether the thread was started."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread, unless it runs; call it with `work.changed` held."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="vaultdb-audit", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread, and return when it has."""
        with self._work.changed:
            thread, self._thread = self._thread, None
            self._work.changed.notify_all()
        if thread is not None:
            thread.join(STOP_TIMEOUT)

    def reset_after_fork(self) -> None:
        """Forget the parent's thread, which is not in the child."""
        self._thread = None

    @property
    def _is_wanted(self) -> bool:
        return self._thread is threading.current_thread()

    def _run(self) -> None:
        failing = False
        while self._is_due():
            try:
                self._work.do()
            except Exception as error:  # noqa: BLE001  # nobody else would start another thread
                if not failing:
                    AUDIT.error("%s; what is to be recorded waits in memory", _said(error))
                failing = True
                self._pause(RETRY_AFTER)
            else:
                if failing:
                    AUDIT.warning("the audit log can be written again")
                failing = False

    def _is_due(self) -> bool:
        changed = self._work.changed
        with changed:
            while self._is_wanted:
                seconds = self._work.wait_for_work()
                if seconds is not None and seconds <= 0:
                    return True
                changed.wait(seconds)
        return False

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with self._work.changed:
            while self._is_wanted and (left := end - time.monotonic()) > 0:
                self._work.changed.wait(left)


def _said(error: Exception) -> str:
    """Return the text of an error of ours, and of others only what they are."""
    return str(error) if isinstance(error, VaultDBError) else f"{type(error).__name__} in the log"
