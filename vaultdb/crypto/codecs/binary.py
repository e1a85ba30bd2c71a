"""bytes as they are."""

from __future__ import annotations

from typing import ClassVar

from vaultdb.crypto.codecs.failure import bad_payload, refused


class BinaryCodec:
    """Payload: the bytes. Not padded: files and keys have no telling length."""

    __slots__ = ()
    type_tag: ClassVar[str] = "bytes"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = None

    def encode(self, value: object) -> bytes:
        """Encode bytes, a bytearray or a memoryview."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, bytearray | memoryview):
            return bytes(value)
        raise refused("bytes", "bytes")

    def decode(self, payload: bytes, version: int) -> bytes:
        """Decode bytes."""
        if version != 1:
            raise bad_payload()
        return payload

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index."""
        return self.encode(value)
