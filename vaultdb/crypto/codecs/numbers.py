"""int, bool and float, each of one fixed size that hides the magnitude."""

from __future__ import annotations

import math
from struct import Struct
from typing import ClassVar, Final

from vaultdb.crypto.codecs.failure import bad_payload, refused
from vaultdb.crypto.limits import MAX_INTEGER, MIN_INTEGER

_INT64: Final = Struct(">q")
_FLOAT64: Final = Struct(">d")
_NAN: Final = bytes.fromhex("7ff8000000000000")  # the quiet NaN without sign or payload


class IntegerCodec:
    """Payload: 8 bytes, two's complement, big-endian."""

    __slots__ = ()
    type_tag: ClassVar[str] = "int"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = None

    def encode(self, value: object) -> bytes:
        """Encode an integer of at most 64 bits."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise refused("int", "an int")
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise refused("int", "at most 64 bits; use encrypted(Decimal) for larger numbers")
        return _INT64.pack(value)

    def decode(self, payload: bytes, version: int) -> int:
        """Decode an integer."""
        if version != 1 or len(payload) != _INT64.size:
            raise bad_payload()
        return int.from_bytes(payload, "big", signed=True)

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index."""
        return self.encode(value)


class BooleanCodec:
    """Payload: one byte, 0 or 1."""

    __slots__ = ()
    type_tag: ClassVar[str] = "bool"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = None

    def encode(self, value: object) -> bytes:
        """Encode a truth value."""
        if not isinstance(value, bool):
            raise refused("bool", "True or False")
        return b"\1" if value else b"\0"

    def decode(self, payload: bytes, version: int) -> bool:
        """Decode a truth value."""
        if version != 1 or payload not in (b"\0", b"\1"):
            raise bad_payload()
        return payload == b"\1"

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index."""
        return self.encode(value)


class FloatCodec:
    """Payload: 8 bytes, IEEE 754 binary64, big-endian; every NaN is stored as the same one."""

    __slots__ = ()
    type_tag: ClassVar[str] = "float"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = None

    def encode(self, value: object) -> bytes:
        """Encode a float, or an int that a float holds exactly."""
        number = _exact_float(value)
        return _NAN if math.isnan(number) else _FLOAT64.pack(number)

    def decode(self, payload: bytes, version: int) -> float:
        """Decode a float."""
        if version != 1 or len(payload) != _FLOAT64.size:
            raise bad_payload()
        (number,) = _FLOAT64.unpack(payload)
        return float(number)

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index: -0.0 equals 0.0, and NaN equals NaN as in PostgreSQL."""
        return self.encode(value + 0.0 if isinstance(value, float) else value)


def _exact_float(value: object) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.nan
        if number == value:
            return number
    raise refused("float", "a float, or an int that a float holds exactly")
