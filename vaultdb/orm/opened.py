"""Something of an engine's runtime that is opened at its first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, TypeVar

from vaultdb.after_fork import reset_in_children

T = TypeVar("T")


class Opened(Generic[T]):
    """Opens a thing once for all threads; after `close` it opens another when used again.

    Args:
        opening: makes the thing, and closes it.

    """

    def __init__(self, opening: Callable[[], AbstractContextManager[T]]) -> None:
        self._opening = opening
        self._thing: T | None = None
        self._stack = ExitStack()
        self.reset_after_fork()
        reset_in_children(self)

    @property
    def thing(self) -> T:
        """The thing; the first use opens it."""
        ready = self._thing
        return ready if ready is not None else self._open()

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            self._thing = None
            stack, self._stack = self._stack, ExitStack()
        stack.close()

    def reset_after_fork(self) -> None:
        """Replace the lock in a forked child; a thread of the parent may have held it."""
        self._lock = threading.Lock()

    def _open(self) -> T:
        with self._lock:
            if self._thing is None:
                self._thing = self._stack.enter_context(self._opening())
            return self._thing
