"""The thread that renews what Vault has lent, a token or a lease, ahead of its end."""

from __future__ import annotations

import threading
import weakref
from typing import Protocol

from vaultdb.vault.deadline import within

LONGEST_SLEEP = 5.0
"""Seconds between two looks, at most: after a suspend, or when the client is gone."""


class Keeper(Protocol):
    """Something that holds what has to be renewed."""

    def renew(self) -> float:
        """Renew or replace if that is due; return the seconds until the next look."""
        ...


class Renewal:
    """Renews what one keeper holds, in the background; ends with the keeper, or when stopped.

    Args:
        keeper: held weakly.
        timeout: seconds that one renewal may take.

    """

    def __init__(self, keeper: Keeper, timeout: float) -> None:
        self._keeper = weakref.ref(keeper)
        self._timeout = timeout
        self._stopped = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vaultdb-vault", daemon=True)

    def start(self) -> bool:
        """Start the thread; return False while the interpreter shuts down."""
        try:
            self._thread.start()
        except RuntimeError:
            return False
        return True

    def wake(self) -> None:
        """Have the thread look now."""
        self._wake.set()

    def stop(self) -> None:
        """Have the thread end; does not wait for it."""
        self._stopped = True
        self._wake.set()

    def _run(self) -> None:
        wait = 0.0
        while True:
            self._wake.wait(min(wait, LONGEST_SLEEP))
            self._wake.clear()
            keeper = self._keeper()
            if self._stopped or keeper is None:
                return
            with within(self._timeout):
                wait = keeper.renew()
            del keeper
