"""The UTC offset of an aware datetime or time, in whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from typing import Final

from vaultdb.crypto.codecs.failure import refused

AWARE: Final = 0b01
"""The value has a UTC offset."""

FOLD: Final = 0b10
"""The value is the second of two equal wall-clock times (PEP 495)."""

_SECOND: Final = timedelta(seconds=1)


def kind_and_offset(value: datetime | time, column: str) -> tuple[int, int]:
    """Tell naive from aware: the kind bits, and the offset in seconds east of UTC.

    Raises:
        ValueRefused: a time zone without an offset, or one with a fraction of a second.

    """
    kind = FOLD if value.fold else 0
    if value.tzinfo is None:
        return kind, 0
    offset = value.utcoffset()
    if offset is None or offset.microseconds:
        raise refused(column, "a time zone whose UTC offset is a whole number of seconds")
    return kind | AWARE, offset // _SECOND


def zone_of(kind: int, offset: int) -> tzinfo | None:
    """Rebuild the time zone: a fixed offset, because a zone's rules change over the years.

    Raises:
        ValueError: unknown kind bits, a naive value with an offset, or a day's offset and more.

    """
    if kind & ~(AWARE | FOLD) or (offset and not kind & AWARE):
        raise ValueError("not a kind that was ever written")
    if not kind & AWARE:
        return None
    return timezone(timedelta(seconds=offset)) if offset else UTC
