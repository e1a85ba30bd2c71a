"""From a passphrase to a key, as OpenPGP has it (RFC 4880, section 3.7)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from vaultdb.jobs.adopt.foreign.failure import Unreadable

HASHES: Final = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512"}
"""Of pgcrypto, by OpenPGP's numbers; SHA-1 is its default."""
_SIMPLE, _SALTED, _ITERATED = 0, 1, 3
_SALT_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class Specifier:
    """How a key is made of the passphrase.

    Args:
        name: of the hash.
        salt: 8 bytes, or none.
        count: bytes to hash; at least salt and passphrase once.

    """

    name: str
    salt: bytes
    count: int

    @classmethod
    def parse(cls, packet: bytes) -> tuple[Specifier, bytes]:
        """Return the specifier at the beginning, and what follows it."""
        kind, number = packet[0], packet[1]
        if number not in HASHES or kind not in {_SIMPLE, _SALTED, _ITERATED}:
            raise Unreadable("unsupported string-to-key")
        name = HASHES[number]
        if kind == _SIMPLE:
            return cls(name, b"", 0), packet[2:]
        salt, rest = packet[2 : 2 + _SALT_SIZE], packet[2 + _SALT_SIZE :]
        if kind == _SALTED:
            return cls(name, salt, 0), rest
        coded = rest[0]
        return cls(name, salt, (16 + (coded & 15)) << ((coded >> 4) + 6)), rest[1:]

    def key(self, passphrase: bytes, size: int) -> bytes:
        """Return a key of `size` bytes; takes a while, as it is meant to."""
        material = self.salt + passphrase
        count = max(self.count, len(material))
        hashed = (material * (count // len(material) + 1))[:count] if material else b""
        found = b""
        prefix = b""
        while len(found) < size:
            found += hashlib.new(self.name, prefix + hashed, usedforsecurity=False).digest()
            prefix += b"\0"
        return found[:size]
