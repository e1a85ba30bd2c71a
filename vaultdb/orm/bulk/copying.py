"""Encrypting many rows into a table by COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from vaultdb.errors import ConfigurationError, StatementRefused
from vaultdb.orm.bulk.fields import Packer, pack, packer_for, text_packer_for
from vaultdb.orm.bulk.sending import CopyStream, insert_rows
from vaultdb.orm.bulk.target import StoredTable, Target, converters, stored, target_of
from vaultdb.orm.runtime import runtime_of
from vaultdb.orm.writing.defaults import fill_in, is_python_side
from vaultdb.orm.writing.insert import encrypt_insert
from vaultdb.orm.writing.values import is_expression_type
from vaultdb.orm.writing.write import Row, Write
from vaultdb.orm.writing.written import watch

if TYPE_CHECKING:
    from sqlalchemy import Column

BATCH_ROWS: Final = 2_000
"""Rows in memory at a time, and in one COPY; more gains nothing."""

_TEXT_OID: Final = 25


def copy_in(
    session: Session | Connection,
    model: Any,
    rows: Iterable[Mapping[str, Any]],
    *,
    batch_rows: int = BATCH_ROWS,
) -> int:
    """Encrypt rows into a table, as many as there are, by binary COPY.

    It runs in the transaction of the session, which is flushed before, and is committed with it.
    Values, defaults of the columns in Python, keys and blind indexes are dealt with as by
    `insert()`; relationships and events of the ORM are not. Where row-level security applies to
    the login, PostgreSQL refuses COPY, and the rows are inserted from arrays instead. Under
    asyncio call it with `await session.run_sync(copy_in, Model, rows)`.

    Args:
        session: a Session or a Connection of a prepared engine.
        model: a mapped class stored in one table, or a Table.
        rows: by attribute, or by column key for a Table; all with the names of the first one. Not
            read from this very connection, which is busy with the COPY.
        batch_rows: how many rows are in memory at a time.

    Returns:
        the number of rows.

    Raises:
        ConfigurationError: the table has no encrypted columns.
        StatementRefused: rows with different names, SQL as a value, a class of several tables.
        ValueRefused: a value does not fit its column; it is not shown.
        KeyMissing, KeyUnavailable, KeyDenied: there is no key to encrypt with.
        sqlalchemy.exc.DBAPIError: PostgreSQL refused the rows.

    """
    if batch_rows < 1:
        raise ConfigurationError("batch_rows is the number of rows in memory: at least 1")
    target = target_of(model)
    if isinstance(session, Session):
        session.flush()
        connection = session.connection()
    else:
        connection = session
    copying = _Copying(connection, target)
    try:
        count = sum(map(copying.send, _batches(rows, batch_rows))) + copying.finish()
        copying.record()
    except BaseException as error:
        copying.abandon(error)
        raise
    return count


class _Copying:
    """One call: what the first batch has shown is kept for the others."""

    def __init__(self, connection: Connection, target: Target) -> None:
        self._connection = connection
        self._target = target
        self._names: frozenset[str] | None = None
        self._stored: StoredTable | None = None
        self._packers: dict[str, Packer | None] = {}
        self._stream: CopyStream | None = None
        self._asks_for_keys = False
        self._written = watch(runtime_of(connection.dialect), connection, target.table, "copy")
        self._rows = 0
        self._tenant: str | None = None

    def send(self, batch: Sequence[Mapping[str, Any]]) -> int:
        """Store rows; return how many, those of a stream that stays open excepted."""
        rows = self._named(batch)
        table = self._target.table.table
        if self._connection.dialect.name != "postgresql":
            return int(self._connection.execute(insert(table), rows).rowcount)
        write = Write(self._connection, self._target.table, insert(table), rows, {})
        write.written = self._written
        encrypt_insert(write)
        self._rows += len(rows)
        self._tenant = write.tenant
        absent = [column for column in table.c if column.key not in rows[0]]
        fill_in(write, rows, [column for column in absent if is_python_side(column.default)])
        columns = [column for column in table.c if column.key in rows[0]]
        return self._store(write, columns, self._values(columns, rows))

    def finish(self) -> int:
        """End the stream, if there is one; return how many rows it has stored."""
        stream, self._stream = self._stream, None
        return 0 if stream is None else stream.finish()

    def record(self) -> None:
        """Tell the audit log, when nothing is under way on the connection any more."""
        if self._written is not None and self._rows:
            self._written.send(self._connection, self._rows, self._tenant)

    def abandon(self, error: BaseException) -> None:
        """Give a stream up."""
        if self._stream is not None:
            self._stream.abandon(error)

    def _named(self, batch: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return the rows by column key; ours to change."""
        keys, constant = self._target.keys, self._target.constant
        if self._names is None:
            self._names = frozenset(batch[0])
            known = keys or self._target.table.table.c
            if unknown := sorted(name for name in self._names if name not in known):
                raise StatementRefused(
                    f"{self._target.table.table.fullname} has no column {unknown[0]!r}"
                )
            self._asks_for_keys = not all(
                column.key in batch[0] or is_python_side(column.default)
                for column in self._target.table.key_columns
            )
        with suppress(KeyError):
            if set(map(len, batch)) == {len(self._names)}:
                if not keys:
                    return [{**constant, **row} for row in batch]
                pairs = [(keys[name], name) for name in self._names]
                return [{**constant, **{key: row[name] for key, name in pairs}} for row in batch]
        raise StatementRefused("all rows must have the names of the first one: give None for NULL")

    def _values(self, columns: Sequence[Column[Any]], rows: Sequence[Row]) -> list[list[Any]]:
        found = []
        for column, convert in zip(columns, converters(columns, self._connection), strict=True):
            values = list(map(itemgetter(column.key), rows))
            if any(map(is_expression_type, set(map(type, values)))):
                raise StatementRefused(f"{column}: copy_in() takes plain values, not SQL")
            is_ciphertext = column.key in self._target.table.columns
            found.append(values if convert is None or is_ciphertext else list(map(convert, values)))
        return found

    def _store(
        self, write: Write, columns: Sequence[Column[Any]], values: Sequence[Sequence[Any]]
    ) -> int:
        table = self._target.table.table
        if self._stored is None:
            self._stored = stored(self._connection, table, write.schema_of(table))
        there = [self._stored.columns[column.name] for column in columns]
        driver: Any = self._connection.connection.driver_connection
        for column, each in zip(columns, there, strict=True):
            if column.name not in self._packers:
                # an array of arrays would be one array of more dimensions
                self._packers[column.name] = (
                    None if each.type.endswith("[]") else packer_for(each.oid, driver)
                )
        packers = [self._packers[column.name] for column in columns]
        fields = [
            pack(packer or text_packer_for(driver), given, column)
            for packer, given, column in zip(packers, values, columns, strict=True)
        ]
        quote = self._connection.dialect.identifier_preparer.quote
        names = [quote(column.name) for column in columns]
        if None not in packers and not self._stored.row_security:
            if self._stream is None:
                self._stream = CopyStream(self._connection, self._stored.name, names)
            self._stream.write(fields)
            return self.finish() if self._asks_for_keys else 0
        types = [
            (each.oid if packer else _TEXT_OID, each.type, packer is None)
            for packer, each in zip(packers, there, strict=True)
        ]
        return insert_rows(self._connection, self._stored.name, names, types, fields)


def _batches(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator[Sequence[Mapping[str, Any]]]:
    left = iter(rows)
    while batch := list(islice(left, size)):
        yield batch
