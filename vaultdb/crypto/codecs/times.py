"""time of day, aware and naive kept apart."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from struct import Struct
from typing import ClassVar, Final

from vaultdb.crypto.codecs.failure import bad_payload, refused
from vaultdb.crypto.codecs.offset import AWARE, FOLD, kind_and_offset, zone_of

_LAYOUT: Final = Struct(">Bqi")
_CANONICAL: Final = Struct(">Bq")
_MIDNIGHT: Final = datetime(2000, 1, 1)  # noqa: DTZ001  # any day: only the clock is used
_MICROSECONDS_PER_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _MICROSECONDS_PER_SECOND


class TimeCodec:
    """Payload, 13 bytes: `u8 kind ‖ i64be microseconds since midnight ‖ i32be offset`.

    Kind and offset as for datetime.
    """

    __slots__ = ()
    type_tag: ClassVar[str] = "time"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = None

    def encode(self, value: object) -> bytes:
        """Encode a time of day."""
        return _LAYOUT.pack(*_parts(value))

    def decode(self, payload: bytes, version: int) -> time:
        """Decode a time of day."""
        if version == 1 and len(payload) == _LAYOUT.size:
            kind, clock, offset = _LAYOUT.unpack(payload)
            if 0 <= clock < _DAY:
                moment = (_MIDNIGHT + timedelta(microseconds=clock)).time()
                try:
                    return moment.replace(
                        tzinfo=zone_of(kind, offset), fold=1 if kind & FOLD else 0
                    )
                except ValueError:
                    pass
        raise bad_payload()

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index: less the offset when aware, as Python compares times."""
        kind, clock, offset = _parts(value)
        return _CANONICAL.pack(kind & AWARE, clock - offset * _MICROSECONDS_PER_SECOND)


def _parts(value: object) -> tuple[int, int, int]:
    if not isinstance(value, time):
        raise refused("time", "a time of day")
    kind, offset = kind_and_offset(value, "time")
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return kind, seconds * _MICROSECONDS_PER_SECOND + value.microsecond, offset
