"""timedelta, exact to the microsecond over its whole range."""

from __future__ import annotations

from datetime import timedelta
from struct import Struct
from typing import ClassVar, Final

from vaultdb.crypto.codecs.failure import bad_payload, refused

_LAYOUT: Final = Struct(">iII")
_SECONDS_PER_DAY: Final = 86_400
_MICROSECONDS_PER_SECOND: Final = 1_000_000


class DurationCodec:
    """Payload, 12 bytes: `i32be days ‖ u32be seconds ‖ u32be microseconds`.

    Normalised as Python does: only the days are ever negative. One 64-bit count of microseconds
    could not hold `timedelta.max`.
    """

    __slots__ = ()
    type_tag: ClassVar[str] = "timedelta"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = None

    def encode(self, value: object) -> bytes:
        """Encode a duration."""
        if not isinstance(value, timedelta):
            raise refused("timedelta", "a timedelta")
        return _LAYOUT.pack(value.days, value.seconds, value.microseconds)

    def decode(self, payload: bytes, version: int) -> timedelta:
        """Decode a duration."""
        if version == 1 and len(payload) == _LAYOUT.size:
            days, seconds, microseconds = _LAYOUT.unpack(payload)
            if seconds < _SECONDS_PER_DAY and microseconds < _MICROSECONDS_PER_SECOND:
                try:
                    return timedelta(days, seconds, microseconds)
                except OverflowError:
                    pass
        raise bad_payload()

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index."""
        return self.encode(value)
