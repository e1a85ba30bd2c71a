"""Who hears what a keyring did with data keys, such as an audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from vaultdb.keys.wrapped_key import KeyScope, WrappedKey


@runtime_checkable
class KeyListener(Protocol):
    """Hears of key ids and scopes, never of a key.

    Called from any thread, when no lock is held and nobody waits for the keys any more. It must
    not block; what it raises is logged, and reaches nobody.
    """

    def created(self, keys: Sequence[WrappedKey]) -> None:
        """Hear of keys that this keyring made and stored; not of those of who came first."""
        ...

    def unwrapped(self, whole: KeyScope, keys: Sequence[WrappedKey]) -> None:
        """Hear of at most `BATCH_SIZE` unwrapped keys of one tenant, keyset and purpose."""
        ...

    def denied(self, keys: Sequence[WrappedKey], reason: str) -> None:
        """Hear of keys that the provider refused to unwrap, or that were not what they claim."""
        ...

    def rolled_back(self, scope: KeyScope, newest: int, floor: int) -> None:
        """Hear that the key table shows an older newest version than was seen or is pinned."""
        ...
