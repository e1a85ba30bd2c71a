"""What somebody who can write to the tables might try: exchange cells of two rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql

READ = sql.SQL("SELECT {column} FROM patient WHERE id = %s")
WRITE = sql.SQL("UPDATE patient SET {column} = %s WHERE id = %s")


@dataclass(frozen=True, slots=True)
class Tampering:
    """Two rows, and a connection (in autocommit) that may change them."""

    connection: psycopg.Connection
    one: UUID
    other: UUID

    @contextmanager
    def exchanged(self, column: str) -> Iterator[None]:
        """Exchange a column's cells of the two rows for a block, then put them back."""
        self._exchange(column)
        try:
            yield
        finally:
            self._exchange(column)

    def _exchange(self, column: str) -> None:
        with self.connection.transaction():
            first, second = self._read(column, self.one), self._read(column, self.other)
            # The column may be unique, so one row steps aside to a value of the same shape.
            aside = first[:-1] + bytes([first[-1] ^ 0xFF])
            self._write(column, self.one, aside)
            self._write(column, self.other, first)
            self._write(column, self.one, second)

    def _read(self, column: str, patient: UUID) -> bytes:
        query = READ.format(column=sql.Identifier(column))
        row = self.connection.execute(query, [patient]).fetchone()
        assert row is not None
        return bytes(row[0])

    def _write(self, column: str, patient: UUID, value: bytes) -> None:
        self.connection.execute(WRITE.format(column=sql.Identifier(column)), [value, patient])
