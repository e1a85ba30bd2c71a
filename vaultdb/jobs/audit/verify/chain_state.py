"""One chain while its records come by."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final
from uuid import UUID

from vaultdb.audit.chain import NO_MAC, evolved
from vaultdb.audit.opening import Opening, OpeningError
from vaultdb.jobs.audit.verify.hashing import ChainHashes
from vaultdb.jobs.audit.verify.source import Source
from vaultdb.jobs.audit.verify.trust import Trust

LONGEST_GAP: Final = 10_000_000
"""Missing records over which a chain's key is carried; a larger number is somebody's invention."""


class ChainState:
    """What is known of a chain at one of its records.

    Args:
        row: of the table, with its cut.
        key: k(0), 32 secret bytes; None if it is not known.

    """

    __slots__ = (
        "_alternative",
        "_key",
        "_mac",
        "cut",
        "hashes",
        "id",
        "is_closed",
        "is_done",
        "is_offline",
        "month",
        "next",
        "role",
        "sequenced",
        "text",
        "waits_since",
        "writer",
    )

    def __init__(self, row: Any, key: bytes | None) -> None:
        self.id: UUID = row[0]
        _, self.text, self.sequenced, self.is_done, cut, mac, self.month = row
        self.cut = -1 if cut is None else int(cut)
        self.next = 0
        self.hashes = ChainHashes(self.id.bytes)
        self.role: str | None = None
        self.writer = ""
        """the public key of the process that opened it, base64"""
        self.is_offline = False
        self.is_closed = False
        self.waits_since: bytes | None = None
        self._key = key
        self._mac: bytes | None = NO_MAC
        self._alternative: bytes | None = None
        if cut is not None:
            self.skip(self.cut + 1)
            self._mac = mac or b""

    @property
    def is_believed(self) -> bool:
        """Whether what its records say about the log counts: not once a MAC cannot be checked."""
        return self.is_checked or self.is_offline

    @property
    def is_checked(self) -> bool:
        """Whether its MACs can be checked."""
        return self._key is not None

    def check_opening(self, trust: Trust) -> Opening:
        """Check who opened it, and remember by which Vault role.

        Raises:
            OpeningError: nobody who may.

        """
        self.is_offline = trust.is_offline
        try:
            opening = Opening.parse(self.text)
            if trust.writers is not None:
                opening.check(self.id, trust.realm, trust.writers)
        except OpeningError:
            self._key = None
            raise
        self.role, self.writer = opening.role, opening.writer
        return opening

    def is_authentic(self, seq: int, at: bytes, body: bytes, mac: bytes) -> bool:
        """Check the next record's MAC, as far as that can be done, and go on to the next key.

        MACs are public, so comparing them takes whatever time it takes.
        """
        key, before = self._key, self._mac
        self._mac = mac
        if key is None:
            return True
        self._key = evolved(key)
        if before is None:
            return True
        expected = self.hashes.mac(key, before, seq, at, body)
        if expected == mac:
            self._alternative = None
            return True
        # Who changed the MAC of the record before this one has not changed this one.
        other, self._alternative = self._alternative, expected
        return other is not None and self.hashes.mac(key, other, seq, at, body) == mac

    def skip(self, count: int) -> None:
        """Go on behind records that are not there."""
        self.next += count
        self._mac = None  # that of the record before is not known: the next one is taken as it is
        if count > LONGEST_GAP:
            self._key = None
        for _ in range(count if self._key is not None else 0):
            self._key = evolved(self._key or b"")


def each_chain(source: Source, trust: Trust) -> Generator[list[ChainState], None, None]:
    """Yield batches of chains by id, their first keys opened."""
    for batch in source.chains():
        keys: list[bytes | None] = [None] * len(batch)
        if trust.escrow is not None:
            keys = trust.escrow.open([_sealed(row[1]) for row in batch])
        yield [ChainState(row, key) for row, key in zip(batch, keys, strict=True)]


def _sealed(text: str) -> str:
    try:
        return Opening.parse(text).escrow
    except OpeningError:
        return ""
