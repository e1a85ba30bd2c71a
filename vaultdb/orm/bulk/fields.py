"""Columns of values as PostgreSQL's binary fields: i32be length ‖ bytes, or -1 for NULL.

A field is the same in a row of `COPY … (FORMAT BINARY)` and in an array parameter. The common types
are packed a column at a time; psycopg dumps the others one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from struct import Struct
from struct import error as struct_error
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from psycopg import Error
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import Format

from vaultdb.errors import ValueRefused

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext

Packer = Callable[[Sequence[Any]], list[bytes]]

NULL: Final = b"\xff\xff\xff\xff"
"""The field of NULL: a length of -1."""

# OIDs are fixed for ever in PostgreSQL's pg_type.dat.
_INTEGERS: Final[Mapping[int, Struct]] = {21: Struct(">ih"), 23: Struct(">ii"), 20: Struct(">iq")}
_TEXTS: Final = frozenset({25, 1043})
_BYTEA: Final = 17
_UUID: Final = 2950

_LENGTH: Final = Struct(">i")


class _Lengths(dict[int, bytes]):
    """Packed lengths, of which a program sees few."""

    __slots__ = ()

    def __missing__(self, length: int) -> bytes:
        packed = _LENGTH.pack(length)
        if len(self) < _KEPT_LENGTHS:
            self[length] = packed
        return packed


_KEPT_LENGTHS: Final = 4096
_lengths: Final = _Lengths()


def packer_for(oid: int, context: AdaptContext) -> Packer | None:
    """Return what packs the values of a type in binary, None when psycopg cannot.

    Args:
        oid: of the type in the database; of a domain's base type.
        context: the psycopg connection, whose adapters are used.

    """
    if oid in _INTEGERS:
        return _integer_packer(_INTEGERS[oid])
    if oid in _TEXTS:
        return lambda values: _sized(list(map(str.encode, values)))
    if oid == _BYTEA:
        return _sized
    if oid == _UUID:
        return lambda values: _sized(list(map(_uuid, values)))
    return _dumping(oid, context)


def text_packer_for(context: AdaptContext) -> Packer:
    """Return what packs values of any type as text, which PostgreSQL casts to the column's."""
    transformer = Transformer(context)

    def dump(value: Any) -> bytes:
        dumped = transformer.get_dumper(value, PyFormat.TEXT).dump(value)
        return bytes(cast("bytes", dumped))

    return lambda values: _sized(list(map(dump, values)))


def pack(packer: Packer, values: Sequence[Any], column: object) -> list[bytes]:
    """Return one field for each value of a column.

    Args:
        packer: of the column's type.
        values: None is NULL.
        column: for the error.

    Raises:
        ValueRefused: a value does not fit the type; it is not shown.

    """
    try:
        if NoneType not in set(map(type, values)):
            return packer(values)
        given = iter(packer([value for value in values if value is not None]))
        return [NULL if value is None else next(given) for value in values]
    except (Error, TypeError, ValueError, ArithmeticError, AttributeError, struct_error):
        pass  # with the error's context, where the value is
    raise ValueRefused(f"{column}: a value does not fit the column's type")


def _integer_packer(layout: Struct) -> Packer:
    size = layout.size - _LENGTH.size
    return lambda values: list(map(layout.pack, repeat(size), values))


def _dumping(oid: int, context: AdaptContext) -> Packer | None:
    try:
        dumper = context.adapters.get_dumper_by_oid(oid, Format.BINARY)
    except Error:
        return None
    dump = dumper(NoneType, context).dump
    return lambda values: _sized([bytes(cast("bytes", dump(value))) for value in values])


def _sized(values: Sequence[bytes]) -> list[bytes]:
    lengths = _lengths
    return [lengths[len(value)] + value for value in values]


def _uuid(value: Any) -> bytes:
    return value.bytes if isinstance(value, UUID) else UUID(value).bytes
