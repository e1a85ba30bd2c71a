"""Work that must not run on the thread that needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable


def call_in_thread(work: Callable[[], None]) -> None:
    """Run `work` on a thread of its own, wait for it, and raise what it raised.

    A result processor may run inside a greenlet of an event loop: there, blocking for a moment is
    allowed and awaiting is not. The other thread has no greenlet, no transaction and no context
    variables that the key table's reader could trip over.
    """
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised again by the caller
            outcome.append(error)

    thread = threading.Thread(target=run, name="vaultdb-keyring", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is shutting down
        run()
    else:
        thread.join()
    if outcome:
        raise outcome.pop()


def start_in_background(work: Callable[[], None]) -> bool:
    """Run `work` on a daemon thread; return whether it could be started."""
    try:
        threading.Thread(target=work, name="vaultdb-keyring-refresh", daemon=True).start()
    except RuntimeError:  # the interpreter is shutting down
        return False
    return True
