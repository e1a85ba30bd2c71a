"""The Merkle tree over all records (RFC 6962, section 2.1): what a checkpoint signs.

A leaf covers everything of a record, so a change of its text changes the root, whoever makes it.
"""

from __future__ import annotations

import hashlib
from struct import Struct
from typing import Final

from vaultdb.audit.chain import Record
from vaultdb.crypto.encoding import canon

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

_LEAF: Final = b"vaultdb/audit/leaf/v1"
_u64 = Struct(">Q").pack


def leaf_hash(record: Record) -> bytes:
    """Return the 32 bytes that stand for a record in the tree."""
    return hash_of_leaf(record.chain.bytes, record.seq, record.at, record.body, record.mac)


def hash_of_leaf(chain: bytes, seq: int, at: str, body: str, mac: bytes) -> bytes:
    """Return the same for the parts of a record; the chain's id is 16 bytes."""
    said = canon(_LEAF, chain, _u64(seq), at.encode(), body.encode(), mac)
    return hashlib.sha256(b"\x00" + said).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: at most 64 hashes, whatever its size."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Append the hash of a leaf."""
        carried, size = leaf, self.size
        while size & 1:
            carried = node_hash(self._peaks.pop(), carried)
            size >>= 1
        self._peaks.append(carried)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree so far: 32 bytes."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def dump(self) -> bytes:
        """Return the frontier as bytes: 32 for every one bit of its size, largest first."""
        return b"".join(self._peaks)

    @classmethod
    def load(cls, size: int, dumped: bytes) -> Frontier:
        """Continue a tree.

        Raises:
            ValueError: the bytes cannot be the frontier of a tree of that size.

        """
        if size < 0 or len(dumped) != HASH_SIZE * size.bit_count():
            raise ValueError(f"not the frontier of a tree of {size} leaves")
        frontier = cls()
        frontier.size = size
        frontier._peaks = [dumped[at : at + HASH_SIZE] for at in range(0, len(dumped), HASH_SIZE)]
        return frontier
