"""Sending packed rows: by COPY, or through arrays where row-level security forbids COPY.

Both run in the caller's transaction, on psycopg's own connection; under asyncio in the greenlet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
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


class CopyStream:
    """A COPY in progress: while the server stores what was written, the next rows are encrypted.

    Nothing else may run on the connection until it is closed.

    Args:
        connection: in a transaction.
        table: quoted by the dialect.
        columns: quoted by the dialect.

    Raises:
        DBAPIError: PostgreSQL refused the rows, here or when more are written; without values.

    """

    def __init__(self, connection: Connection, table: str, columns: Sequence[str]) -> None:
        # Without parameters psycopg leaves a % alone, which SQLAlchemy has doubled for it.
        named = f"{table} ({', '.join(columns)})".replace("%%", "%")
        self._statement = f"COPY {named} FROM STDIN (FORMAT BINARY)"
        self._connection = connection
        self._columns = _COUNT.pack(len(columns))
        driver: Any = connection.connection.driver_connection
        self._await: Callable[[Any], Any] = _same
        cursor: Any = psycopg.Cursor
        if isinstance(driver, psycopg.AsyncConnection):
            self._await, cursor = await_only, psycopg.AsyncCursor
        self._cursor: Any = cursor(driver)
        self._copy = self._cursor.copy(self._statement.encode())
        self._writer = self._guarded(self._enter)
        self._send(_SIGNATURE)

    def write(self, fields: Sequence[list[bytes]]) -> None:
        """Send rows: the fields of each column."""
        rows = b"".join(chain.from_iterable(zip(repeat(self._columns), *fields, strict=False)))
        for at in range(0, len(rows), _LARGEST):
            self._send(rows[at : at + _LARGEST])

    def finish(self) -> int:
        """End the COPY; return how many rows were stored."""
        self._send(_TRAILER)
        self._guarded(lambda: self._exit(None))
        count: int = self._cursor.rowcount
        self._await(self._cursor.close())
        return count

    def abandon(self, error: BaseException) -> None:
        """Let PostgreSQL throw the COPY away, and with it the transaction."""
        with suppress(psycopg.Error):
            self._exit(error)

    def _send(self, piece: bytes) -> None:
        self._guarded(lambda: self._await(self._writer.write(piece)))

    def _enter(self) -> Any:
        if self._await is _same:
            return self._copy.__enter__()
        return self._await(self._copy.__aenter__())

    def _exit(self, error: BaseException | None) -> None:
        details = (None, None, None) if error is None else (type(error), error, None)
        if self._await is _same:
            self._copy.__exit__(*details)
        else:
            self._await(self._copy.__aexit__(*details))

    def _guarded(self, send: Callable[[], T]) -> T:
        return _guarded(self._connection, self._statement, send)


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


def _same(value: T) -> T:
    return value


def _guarded(connection: Connection, statement: str, send: Callable[[], T]) -> T:
    try:
        return send()
    except psycopg.Error as error:
        failure = redacted(error, statement, connection.dialect)
        if failure.connection_invalidated:
            connection.invalidate(error)
    raise failure
