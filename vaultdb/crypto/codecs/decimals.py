"""Decimal, exact in digits and exponent."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import ClassVar, Final

from vaultdb.crypto.codecs.failure import bad_payload, refused

_PAYLOAD: Final = re.compile(rb"-?[0-9]+(\.[0-9]+)?(E[+-][0-9]+)?|-?Infinity|NaN")


class DecimalCodec:
    """Payload: Decimal's scientific string in ASCII, for example `1.10` or `-2E+7`.

    The exponent survives: 1.1 and 1.10 come back as they went in. The infinities and the plain
    NaN are values, as in PostgreSQL's numeric; a signalling NaN, a negative one and one with a
    diagnostic payload are refused. Padded to multiples of 32.
    """

    __slots__ = ()
    type_tag: ClassVar[str] = "decimal"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = 32

    def encode(self, value: object) -> bytes:
        """Encode a Decimal, or an int."""
        # str() is exact whatever the context; only its "e" follows the context's capitals.
        number = _decimal(value)
        text = str(number)
        return (text.upper() if number.is_finite() else text).encode()

    def decode(self, payload: bytes, version: int) -> Decimal:
        """Decode a Decimal."""
        if version != 1 or not _PAYLOAD.fullmatch(payload):
            raise bad_payload()
        return Decimal(payload.decode())

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index: 1.1 equals 1.10, and 0 equals -0."""
        number = _decimal(value)
        sign, digits, exponent = number.as_tuple()
        if not isinstance(exponent, int):
            return str(number).encode()
        text = "".join(map(str, digits)).lstrip("0")
        significant = text.rstrip("0")
        if not significant:
            return b"0"
        shifted = exponent + len(text) - len(significant)
        return f"{'-' if sign else ''}{significant}E{shifted}".encode()


def _decimal(value: object) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, Decimal):
        raise refused("Decimal", "a Decimal or an int, never a float")
    if value.is_nan() and str(value) != "NaN":
        raise refused("Decimal", "the plain NaN only")
    return value
