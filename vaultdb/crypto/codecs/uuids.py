"""UUID as its 16 bytes."""

from __future__ import annotations

from typing import ClassVar, Final
from uuid import UUID

from vaultdb.crypto.codecs.failure import bad_payload, refused

_SIZE: Final = 16


class UuidCodec:
    """Payload: 16 bytes in network order (RFC 9562)."""

    __slots__ = ()
    type_tag: ClassVar[str] = "uuid"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = None

    def encode(self, value: object) -> bytes:
        """Encode a UUID."""
        if not isinstance(value, UUID):
            raise refused("UUID", "a UUID")
        return value.bytes

    def decode(self, payload: bytes, version: int) -> UUID:
        """Decode a UUID."""
        if version != 1 or len(payload) != _SIZE:
            raise bad_payload()
        return UUID(bytes=payload)

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index."""
        return self.encode(value)
