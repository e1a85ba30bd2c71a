"""datetime, aware and naive kept apart."""

from __future__ import annotations

from datetime import datetime, timedelta
from struct import Struct
from typing import ClassVar, Final

from vaultdb.crypto.codecs.failure import bad_payload, refused
from vaultdb.crypto.codecs.offset import AWARE, FOLD, kind_and_offset, zone_of

_LAYOUT: Final = Struct(">Bqi")
_CANONICAL: Final = Struct(">Bq")
_EPOCH: Final = datetime(2000, 1, 1)  # noqa: DTZ001  # PostgreSQL's epoch, as wall-clock time
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS_PER_SECOND: Final = 1_000_000


class DatetimeCodec:
    """Payload, 13 bytes: `u8 kind ‖ i64be wall clock ‖ i32be offset`.

    The kind has bit 0 for aware and bit 1 for fold; the wall clock is in microseconds since
    2000-01-01T00:00; the offset in seconds east of UTC, zero when naive. An aware value comes back
    as the same instant and wall clock under a fixed offset, not under its zone's name.
    """

    __slots__ = ()
    type_tag: ClassVar[str] = "datetime"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = None

    def encode(self, value: object) -> bytes:
        """Encode a datetime."""
        return _LAYOUT.pack(*_parts(value))

    def decode(self, payload: bytes, version: int) -> datetime:
        """Decode a datetime."""
        if version == 1 and len(payload) == _LAYOUT.size:
            kind, wall, offset = _LAYOUT.unpack(payload)
            try:
                zone = zone_of(kind, offset)
                moment = (_EPOCH + timedelta(microseconds=wall)).replace(tzinfo=zone)
                return moment.replace(fold=1) if kind & FOLD else moment
            except (ValueError, OverflowError):
                pass
        raise bad_payload()

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index: the instant when aware, the wall clock when naive."""
        kind, wall, offset = _parts(value)
        return _CANONICAL.pack(kind & AWARE, wall - offset * _MICROSECONDS_PER_SECOND)


def _parts(value: object) -> tuple[int, int, int]:
    if not isinstance(value, datetime):
        raise refused("datetime", "a datetime")
    kind, offset = kind_and_offset(value, "datetime")
    return kind, (value.replace(tzinfo=None) - _EPOCH) // _MICROSECOND, offset
