"""Decrypt one value for support, with or without the application's models.

Without them the table is reflected and the catalogue of logical names says how the column was
encrypted; a value bound to a part of the key (`bind=("id",)`) needs the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Column, Connection, MetaData, Table
from sqlalchemy.exc import NoSuchTableError

from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.codec import codec_for
from vaultdb.crypto.envelope import key_id_of
from vaultdb.crypto.frame import Frame, open_frame
from vaultdb.crypto.reason import Reason
from vaultdb.crypto.row_binding import COLUMN_ONLY
from vaultdb.db.schema import logical_name_table as names
from vaultdb.errors import ConfigurationError, DecryptionError
from vaultdb.keys.keyring import Keyring
from vaultdb.orm.row_key import row_key_of
from vaultdb.orm.types import Encrypted

_SCALARS = (str, bytes, int, float, bool, Decimal, date, datetime, time, timedelta, UUID)

_FROM_TEXT: dict[type, Callable[[str], Any]] = {
    int: int,
    str: str,
    UUID: UUID,
    bytes: bytes.fromhex,
    date: date.fromisoformat,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of one row.

    Args:
        table: its name, with the schema when there is one.
        column: the column's name in the database.
        key: the primary key, column to text.

    """

    table: str
    column: str
    key: Mapping[str, str]

    def __str__(self) -> str:
        key = ", ".join(f"{name}={value}" for name, value in self.key.items())
        return f"{self.table}.{self.column} of {key}"


@dataclass(frozen=True, slots=True)
class _Source:
    """How the column was encrypted."""

    table: Table
    identity: ColumnIdentity
    bindings: tuple[Any, ...]
    decode: Callable[[Frame], Any]


def decrypt_cell(
    connection: Connection,
    keyring: Keyring,
    cell: Cell,
    *,
    tenant: str,
    metadata: MetaData | None = None,
) -> Any:
    """Return the plaintext of one cell, None for NULL; secret.

    Args:
        connection: by a login that may read the table and, without `metadata`, the catalogue.
        keyring: of a role that may decrypt.
        cell: which value.
        tenant: whose it must be.
        metadata: the models; None reflects the table.

    Raises:
        ConfigurationError: no such table, column, key or row, or the column is not encrypted.
        DecryptionError: the value does not decrypt, here, for this tenant.

    """
    source = _declared(metadata, cell) if metadata else _recorded(connection, cell)
    key_values = _key_values(source.table, cell)
    envelope = _fetch(connection, source.table, cell, key_values)
    if envelope is None:
        return None
    key = keyring.get(key_id_of(envelope))
    if key.scope.tenant != tenant:
        raise ConfigurationError(
            f"{cell} is encrypted for another tenant than {tenant or '-'}; say --tenant"
        )
    for row in _row_bindings(source, key_values):
        try:
            frame = key.decrypt(source.identity, envelope, row)
        except DecryptionError:
            continue
        return source.decode(open_frame(frame))
    raise DecryptionError(Reason.TAG)


def _declared(metadata: MetaData, cell: Cell) -> _Source:
    table = metadata.tables.get(cell.table)
    if table is None:
        raise ConfigurationError(f"the models have no table {cell.table}")
    kind = _column(table, cell.column).type
    if not isinstance(kind, Encrypted):
        raise ConfigurationError(f"{cell.table}.{cell.column} is not declared as encrypted")

    def decode(frame: Frame) -> Any:
        return kind.codec.decode(frame.payload, frame.codec_version)

    return _Source(table, kind.identity, (kind.bind,), decode)


def _recorded(connection: Connection, cell: Cell) -> _Source:
    schema, _, name = cell.table.rpartition(".")
    try:
        table = Table(name, MetaData(), schema=schema or None, autoload_with=connection)
    except NoSuchTableError:
        raise ConfigurationError(f"there is no table {cell.table}") from None
    _column(table, cell.column)
    place = (names.c.schema_name == schema, names.c.table_name == name)
    condition = sa.and_(*place, names.c.column_name == cell.column, names.c.retired_at.is_(None))
    found = connection.execute(sa.select(names.c.name, names.c.type_tag).where(condition)).first()
    if found is None:
        raise ConfigurationError(
            f"no logical name is recorded for {cell.table}.{cell.column};"
            " run: vaultdb names sync, or name the models with --model"
        )
    identity = ColumnIdentity(found.name, found.type_tag)
    return _Source(table, identity, ("row", "column"), _decoder(found.type_tag))


def _decoder(type_tag: str) -> Callable[[Frame], Any]:
    codecs = (codec_for(kind) for kind in _SCALARS)
    codec = next((codec for codec in codecs if codec.type_tag == type_tag), None)
    if codec is not None:
        return lambda frame: codec.decode(frame.payload, frame.codec_version)
    # Enum members and documents are text; whatever else there is, is shown as it is.
    return lambda frame: _text(frame.payload)


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload.hex()


def _column(table: Table, name: str) -> Column[Any]:
    if name not in table.columns:
        raise ConfigurationError(f"table {table.fullname} has no column {name}")
    return table.columns[name]


def _key_values(table: Table, cell: Cell) -> dict[str, Any]:
    key = [column.name for column in table.primary_key.columns]
    if not key or set(key) != cell.key.keys():
        wanted = " ".join(f"{name}=…" for name in key) or "a primary key, which it has not"
        raise ConfigurationError(f"table {cell.table} is keyed by {wanted}")
    return {name: _parsed(table.columns[name], cell.key[name]) for name in key}


def _parsed(column: Column[Any], value: str) -> Any:
    try:
        kind = column.type.python_type
        return _FROM_TEXT[kind](value)
    except (NotImplementedError, KeyError, ValueError):
        raise ConfigurationError(
            f"the value given for {column} does not fit its type, {column.type!r}"
        ) from None


def _fetch(
    connection: Connection, table: Table, cell: Cell, key_values: Mapping[str, Any]
) -> bytes | None:
    """Read the envelope as bytes, past whatever the column's type does on reading."""
    raw: sa.ColumnClause[bytes | None] = sa.column(cell.column, sa.LargeBinary())
    plain = sa.table(table.name, raw, schema=table.schema)
    conditions: Sequence[Any] = [
        sa.column(name, table.columns[name].type) == value for name, value in key_values.items()
    ]
    rows = connection.execute(sa.select(raw).select_from(plain).where(*conditions)).all()
    if len(rows) != 1:
        raise ConfigurationError(f"there is no row with {', '.join(key_values)} as given")
    envelope = rows[0][0]
    return None if envelope is None else bytes(envelope)


def _row_bindings(source: _Source, key_values: Mapping[str, Any]) -> Iterator[bytes]:
    for bind in source.bindings:
        if bind == "column":
            yield COLUMN_ONLY
            continue
        try:
            key = row_key_of(source.table, bind)
        except ConfigurationError:
            if len(source.bindings) == 1:
                raise
            continue
        yield key.encode([key_values[column.name] for column in key.columns])
