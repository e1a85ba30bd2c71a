"""What a listener is still to hear, and its telling."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

from vaultdb.keys.listener import KeyListener
from vaultdb.keys.provider import BATCH_SIZE
from vaultdb.keys.wrapped_key import KeyScope, WrappedKey
from vaultdb.logs import AUDIT


class News:
    """What a listener has not heard yet; noted while keys are read, told when they are there.

    Args:
        listener: None hears nothing.

    """

    def __init__(self, listener: KeyListener | None) -> None:
        self._listener = listener
        self._untold: deque[Callable[[], None]] = deque()

    def created(self, keys: Sequence[WrappedKey]) -> None:
        """Note keys that were made."""
        if self._listener is not None and keys:
            self._untold.append(partial(self._listener.created, keys))

    def unwrapped(self, keys: Sequence[WrappedKey]) -> None:
        """Note keys that were unwrapped, of any scopes."""
        if self._listener is None:
            return
        for whole, batch in _by_keyset(keys):
            self._untold.append(partial(self._listener.unwrapped, whole, batch))

    def denied(self, keys: Sequence[tuple[WrappedKey, str]]) -> None:
        """Note keys that were refused, each with the reason."""
        if self._listener is None:
            return
        by_reason: dict[str, list[WrappedKey]] = {}
        for key, reason in keys:
            by_reason.setdefault(reason, []).append(key)
        for reason, batch in by_reason.items():
            self._untold.append(partial(self._listener.denied, batch, reason))

    def rolled_back(self, scope: KeyScope, newest: int, floor: int) -> None:
        """Note a scope whose newest version is gone."""
        if self._listener is not None:
            self._untold.append(partial(self._listener.rolled_back, scope, newest, floor))

    def forget(self) -> None:
        """Drop what was noted."""
        self._untold.clear()

    def tell(self) -> None:
        """Tell what was noted, also by other threads."""
        while self._untold:
            try:
                hear = self._untold.popleft()
            except IndexError:  # another thread tells it
                return
            try:
                hear()
            except Exception as error:  # noqa: BLE001  # a listener is never in the way of a read
                AUDIT.warning("what was done with data keys is not recorded: %s", error)


def _by_keyset(keys: Sequence[WrappedKey]) -> list[tuple[KeyScope, Sequence[WrappedKey]]]:
    """Group keys by tenant, keyset and purpose, in batches as a provider takes them."""
    ordered = sorted(keys, key=_whole)
    groups = [(whole, list(group)) for whole, group in groupby(ordered, key=_whole)]
    return [
        (whole, group[start : start + BATCH_SIZE])
        for whole, group in groups
        for start in range(0, len(group), BATCH_SIZE)
    ]


def _whole(key: WrappedKey) -> KeyScope:
    return key.scope._replace(subject="")
