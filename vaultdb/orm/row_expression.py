"""Row binding v1 as PostgreSQL computes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, func, literal_column
from sqlalchemy.types import TypeEngine

from vaultdb.crypto.encoding import pack_u32
from vaultdb.crypto.row_binding import FIXED_SIZES, KeyTag

BYTES: TypeEngine[bytes] = LargeBinary()

# Qualified: the search path decides which `bytea || vaultdb.envelope` is meant, and a schema in it
# that others may create operators in would let them run code as the application (CVE-2018-1058).
_CONCATENATED_WITH = "OPERATOR(pg_catalog.||)"

_COUNT_SIZE = 1
_PART_HEAD_SIZE = 5  # tag and size


def row_expression(parts: Sequence[tuple[KeyTag, ColumnElement[Any]]]) -> ColumnElement[bytes]:
    """Build the SQL of `row_binding(parts)`.

    Args:
        parts: each key column with its tag, in declared order.

    """
    return concatenation(_pieces(parts))


def sized_row_expression(
    parts: Sequence[tuple[KeyTag, ColumnElement[Any]]],
) -> ColumnElement[bytes] | None:
    """Build the SQL of a row binding with its size (u32be) in front, if its size is a constant."""
    if not all(tag in FIXED_SIZES for tag, _ in parts):
        return None
    size = _COUNT_SIZE + sum(_PART_HEAD_SIZE + FIXED_SIZES[tag] for tag, _ in parts)
    return concatenation([pack_u32(size), *_pieces(parts)])


def _pieces(
    parts: Sequence[tuple[KeyTag, ColumnElement[Any]]],
) -> list[bytes | ColumnElement[bytes]]:
    pieces: list[bytes | ColumnElement[bytes]] = [bytes((len(parts),))]
    for tag, column in parts:
        pieces += _part(tag, column)
    return pieces


def concatenation(pieces: Sequence[bytes | ColumnElement[bytes]]) -> ColumnElement[bytes]:
    """Join constants and expressions with PostgreSQL's `||`, neighbouring constants at once."""
    merged: list[bytes | ColumnElement[bytes]] = []
    for piece in pieces:
        if isinstance(piece, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += piece
        else:
            merged.append(piece)
    return reduce(
        lambda left, right: left.op(_CONCATENATED_WITH, return_type=BYTES)(right),
        [bytes_literal(piece) if isinstance(piece, bytes) else piece for piece in merged],
    )


def bytes_literal(constant: bytes) -> ColumnElement[bytes]:
    """Write public constant bytes into the statement."""
    return literal_column(f"'\\x{constant.hex()}'::bytea", BYTES)


def size_of(expression: ColumnElement[bytes]) -> ColumnElement[bytes]:
    """Build the SQL of a size as four bytes, big-endian."""
    return func.pg_catalog.int4send(func.pg_catalog.octet_length(expression), type_=BYTES)


def _part(tag: KeyTag, column: ColumnElement[Any]) -> list[bytes | ColumnElement[bytes]]:
    value = _value(tag, column)
    if tag in FIXED_SIZES:
        return [bytes((tag,)) + pack_u32(FIXED_SIZES[tag]), value]
    return [bytes((tag,)), size_of(value), value]


def _value(tag: KeyTag, column: ColumnElement[Any]) -> ColumnElement[bytes]:
    send = func.pg_catalog
    match tag:
        case KeyTag.INTEGER:
            return send.int8send(column, type_=BYTES)
        case KeyTag.UUID:
            return send.uuid_send(column, type_=BYTES)
        case KeyTag.TEXT:
            return send.convert_to(column, literal_column("'UTF8'"), type_=BYTES)
        case KeyTag.DATE:
            return send.date_send(column, type_=BYTES)
        case KeyTag.BYTES:
            return column
