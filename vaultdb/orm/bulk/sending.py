"""Sending packed rows: by COPY, or through arrays where row-level security forbids COPY.

Both run in the caller's transaction, on psycopg's own connection; under asyncio in the greenlet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy.util import await_only

from vaultdb.orm.redaction import redacted

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

T = TypeVar("T")

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_COUNT: Final = Struct(">h")
_ARRAY: Final = Struct(">iiIii")  # dimensions, flags, element type, elements, lower bound
_LARGEST: Final = 65_536
"""Bytes handed to psycopg at once; it copies larger pieces."""


class _Packed:
    """An array parameter in binary form."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _PackedDumper(Dumper):
    """Passes the bytes on; the statement's cast says the type."""

    format = Format.BINARY

    def dump(self, obj: _Packed) -> bytes:
        """Return the packed array."""
        return obj.data


def copy_rows(
    connection: Connection, table: str, columns: Sequence[str], fields: Sequence[list[bytes]]
) -> int:
    """Copy rows into a table; return how many.

    Args:
        connection: in a transaction.
        table: quoted by the dialect.
        columns: quoted by the dialect.
        fields: of each column, in all rows.

    Raises:
        DBAPIError: PostgreSQL refused it; without values.

    """
    # Without parameters psycopg leaves a % alone, which SQLAlchemy has doubled for it.
    named = f"{table} ({', '.join(columns)})".replace("%%", "%")
    statement = f"COPY {named} FROM STDIN (FORMAT BINARY)"
    count = _COUNT.pack(len(columns))
    rows = b"".join(chain.from_iterable(zip(repeat(count), *fields, strict=False)))
    data = b"".join((_SIGNATURE, rows, _TRAILER))
    driver: Any = connection.connection.driver_connection
    if isinstance(driver, psycopg.AsyncConnection):
        return _guarded(
            connection, statement, lambda: await_only(_copy_async(driver, statement, data))
        )
    return _guarded(connection, statement, lambda: _copy(driver, statement, data))


def insert_rows(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    types: Sequence[tuple[int, str, bool]],
    fields: Sequence[list[bytes]],
) -> int:
    """Insert rows from one array for each column; return how many.

    Args:
        connection: in a transaction.
        table: quoted by the dialect.
        columns: quoted by the dialect.
        types: of each column: the OID of the array's elements, the column's type, and whether
            the elements are text that is cast to it.
        fields: of each column, in all rows.

    Raises:
        DBAPIError: PostgreSQL refused it; without values.

    """
    names = [f"c{number}" for number in range(len(columns))]
    arrays = ", ".join(f"%b::{'text' if cast else type_}[]" for _, type_, cast in types)
    values = ", ".join(
        f"v.{name}::{type_}" if cast else f"v.{name}"
        for name, (_, type_, cast) in zip(names, types, strict=True)
    )
    statement = (
        f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608  # quoted by the dialect
        f" SELECT {values} FROM unnest({arrays}) AS v ({', '.join(names)})"
    )
    packed = [
        _Packed(b"".join((_ARRAY.pack(1, 0, oid, len(column), 1), *column)))
        for (oid, _, _), column in zip(types, fields, strict=True)
    ]
    driver: Any = connection.connection.driver_connection
    if isinstance(driver, psycopg.AsyncConnection):
        return _guarded(
            connection, statement, lambda: await_only(_insert_async(driver, statement, packed))
        )
    return _guarded(connection, statement, lambda: _insert(driver, statement, packed))


def _copy(driver: psycopg.Connection[Any], statement: str, data: bytes) -> int:
    with psycopg.Cursor(driver) as cursor:
        with cursor.copy(statement.encode()) as copy:
            for piece in _pieces(data):
                copy.write(piece)
        return cursor.rowcount


async def _copy_async(driver: psycopg.AsyncConnection[Any], statement: str, data: bytes) -> int:
    async with psycopg.AsyncCursor(driver) as cursor:
        async with cursor.copy(statement.encode()) as copy:
            for piece in _pieces(data):
                await copy.write(piece)
        return cursor.rowcount


def _insert(driver: psycopg.Connection[Any], statement: str, packed: list[_Packed]) -> int:
    with psycopg.Cursor(driver) as cursor:
        cursor.adapters.register_dumper(_Packed, _PackedDumper)
        return cursor.execute(statement.encode(), packed).rowcount


async def _insert_async(
    driver: psycopg.AsyncConnection[Any], statement: str, packed: list[_Packed]
) -> int:
    async with psycopg.AsyncCursor(driver) as cursor:
        cursor.adapters.register_dumper(_Packed, _PackedDumper)
        done = await cursor.execute(statement.encode(), packed)
        return done.rowcount


def _pieces(data: bytes) -> list[bytes]:
    return [data[at : at + _LARGEST] for at in range(0, len(data), _LARGEST)]


def _guarded(connection: Connection, statement: str, send: Callable[[], T]) -> T:
    try:
        return send()
    except psycopg.Error as error:
        failure = redacted(error, statement, connection.dialect)
        if failure.connection_invalidated:
            connection.invalidate(error)
    raise failure
