"""The thread that renews a token ahead of its end."""

from __future__ import annotations

import threading
import weakref

from vaultdb.vault.deadline import within
from vaultdb.vault.token_keeper import TokenKeeper

LONGEST_SLEEP = 5.0
"""Seconds between two looks, at most: after a suspend, or when the client is gone."""


class Renewal:
    """Renews one keeper's token in the background; ends with the keeper, or when stopped.

    Args:
        keeper: held weakly.
        timeout: seconds that one renewal may take.

    """

    def __init__(self, keeper: TokenKeeper, timeout: float) -> None:
        self._keeper = weakref.ref(keeper)
        self._timeout = timeout
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vaultdb-vault", daemon=True)

    def start(self) -> bool:
        """Start the thread; return False while the interpreter shuts down."""
        try:
            self._thread.start()
        except RuntimeError:
            return False
        return True

    def stop(self) -> None:
        """Have the thread end; does not wait for it."""
        self._stop.set()

    def _run(self) -> None:
        wait = 0.0
        while not self._stop.wait(min(wait, LONGEST_SLEEP)):
            keeper = self._keeper()
            if keeper is None:
                return
            with within(self._timeout):
                wait = keeper.renew()
            del keeper
