"""date as PostgreSQL's own binary form."""

from __future__ import annotations

from datetime import date, datetime
from struct import Struct
from typing import ClassVar, Final

from vaultdb.crypto.codecs.failure import bad_payload, refused
from vaultdb.crypto.row_binding import POSTGRESQL_EPOCH

_DAYS: Final = Struct(">i")


class DateCodec:
    """Payload: 4 bytes, two's complement, big-endian: days since 2000-01-01."""

    __slots__ = ()
    type_tag: ClassVar[str] = "date"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = None

    def encode(self, value: object) -> bytes:
        """Encode a date; a datetime is refused, because its time would be lost."""
        if not isinstance(value, date) or isinstance(value, datetime):
            raise refused("date", "a date without a time")
        return _DAYS.pack(value.toordinal() - POSTGRESQL_EPOCH)

    def decode(self, payload: bytes, version: int) -> date:
        """Decode a date."""
        if version == 1 and len(payload) == _DAYS.size:
            (days,) = _DAYS.unpack(payload)
            try:
                return date.fromordinal(days + POSTGRESQL_EPOCH)
            except (ValueError, OverflowError):
                pass
        raise bad_payload()

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index."""
        return self.encode(value)
