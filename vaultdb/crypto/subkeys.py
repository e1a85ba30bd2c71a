"""The subkeys that one DEK keeps for reading.

Two generations instead of a least-recently-used list: a hit is one dictionary look-up without a
lock and without moving anything, and memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable

from vaultdb.crypto.limits import CACHED_SUBKEYS

Opener = Callable[[bytes, bytes, bytes | None], bytes]
"""`AESGCM.decrypt` of one subkey: nonce tail, ciphertext and tag, associated data."""


class SubkeyCache:
    """Openers by the first 30 bytes of the envelope: header and nonce prefix.

    Races between threads only cost a repeated derivation.
    """

    __slots__ = ("_half", "_older", "newer")

    def __init__(self, capacity: int = CACHED_SUBKEYS) -> None:
        self._half = max(1, capacity // 2)
        self._older: dict[bytes, Opener] = {}
        self.newer: dict[bytes, Opener] = {}

    def find(self, head: bytes) -> Opener | None:
        """Find a subkey in either generation."""
        return self.newer.get(head) or self._older.get(head)

    def keep(self, head: bytes, opener: Opener) -> dict[bytes, Opener]:
        """Remember a subkey that has opened an authentic envelope; returns the newer generation."""
        if len(self.newer) >= self._half:
            self._older = self.newer
            self.newer = {}
        self.newer[head] = opener
        return self.newer

    def __len__(self) -> int:
        return len(self.newer) + len(self._older)
