"""Row binding v1: the bytes that tie a value to the row it was written for.

::

    row binding = u8 count ‖ Σ(u8 tag ‖ u32be length ‖ bytes)      key columns in declared order

    tag 1  smallint, integer, bigint    8 bytes, two's complement, big-endian
    tag 2  uuid                         16 bytes
    tag 3  text, varchar                UTF-8
    tag 4  bytea                        as it is
    tag 5  date                         4 bytes, two's complement, big-endian: days since 2000-01-01

Each is what PostgreSQL's own `int8send`, `uuid_send`, `textsend` (UTF8 database),
`byteasend` and `date_send` give, so that the server can build the same bytes on reading.
A column declared with `bind="column"` has the empty row binding instead, which no list of key
columns encodes to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from enum import IntEnum
from struct import Struct, pack
from struct import error as struct_error
from typing import Final, cast
from uuid import UUID

from vaultdb.crypto.encoding import pack_u32
from vaultdb.crypto.limits import MAX_INTEGER, MAX_KEY_COLUMNS, MIN_INTEGER
from vaultdb.crypto.text import utf8
from vaultdb.errors import ConfigurationError, ValueRefused

COLUMN_ONLY: Final = b""
"""The row binding of `bind="column"`."""

POSTGRESQL_EPOCH: Final = date(2000, 1, 1).toordinal()
"""The day that PostgreSQL counts dates from (its `POSTGRES_EPOCH_JDATE`)."""

_INT64: Final = Struct(">q")
_INT32: Final = Struct(">i")


class KeyTag(IntEnum):
    """How a key column is encoded; the numbers are stored for ever."""

    INTEGER = 1
    UUID = 2
    TEXT = 3
    BYTES = 4
    DATE = 5


FIXED_SIZES: Final[Mapping[KeyTag, int]] = {KeyTag.INTEGER: 8, KeyTag.UUID: 16, KeyTag.DATE: 4}
"""Bytes of the values that all have one size, by tag."""


def encode_key_part(tag: KeyTag, value: object) -> bytes:
    """Encode one key column's value.

    Args:
        tag: how the column is encoded.
        value: an `int`, `UUID`, `str`, `bytes` or `date` to match; public.

    Raises:
        ValueRefused: the value is not of that type, or not one that PostgreSQL can hold.

    """
    return _ENCODERS[tag](value)


def encode_key_parts(tag: KeyTag, values: Sequence[object]) -> list[bytes]:
    """Encode one key column's values in several rows; see `encode_key_part`."""
    types = set(map(type, values))
    if tag is KeyTag.INTEGER and types == {int}:
        with suppress(struct_error):  # out of range: the slow way names it
            packed = pack(f">{len(values)}q", *values)
            return [packed[at : at + 8] for at in range(0, len(packed), 8)]
    if tag is KeyTag.UUID and types == {UUID}:
        return [value.bytes for value in cast("Sequence[UUID]", values)]
    return list(map(_ENCODERS[tag], values))


def row_binding(parts: Sequence[tuple[KeyTag, bytes]]) -> bytes:
    """Encode the key of one row.

    Args:
        parts: the encoded key columns in declared order, 1 to 32 of them.

    Raises:
        ConfigurationError: no key column, or more than PostgreSQL indexes.

    """
    if not 0 < len(parts) <= MAX_KEY_COLUMNS:
        raise ConfigurationError(
            "row binding needs 1 to 32 key columns; declare a primary key or use bind='column'"
        )
    pieces = [bytes((len(parts),))]
    for tag, part in parts:
        pieces += (bytes((tag,)), pack_u32(len(part)), part)
    return b"".join(pieces)


def _integer(value: object) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _refused("an integer")
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise _refused("an integer of at most 64 bits")
    return _INT64.pack(value)


def _uuid(value: object) -> bytes:
    if not isinstance(value, UUID):
        raise _refused("a UUID")
    return value.bytes


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        raise _refused("a str")
    return utf8(value)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _refused("bytes")
    return bytes(value)


def _date(value: object) -> bytes:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _refused("a date")
    return _INT32.pack(value.toordinal() - POSTGRESQL_EPOCH)


def _refused(wanted: str) -> ValueRefused:
    return ValueRefused(f"the row's key column must be {wanted} to bind encrypted values to it")


_ENCODERS: Final[Mapping[KeyTag, Callable[[object], bytes]]] = {
    KeyTag.INTEGER: _integer,
    KeyTag.UUID: _uuid,
    KeyTag.TEXT: _text,
    KeyTag.BYTES: _bytes,
    KeyTag.DATE: _date,
}
