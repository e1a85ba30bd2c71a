"""Encrypting the rows of one statement: the value path."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from types import NoneType
from typing import TYPE_CHECKING, Any

from vaultdb.crypto.nonce import nonce_tails
from vaultdb.crypto.row_binding import COLUMN_ONLY
from vaultdb.errors import StatementRefused, ValueRefused
from vaultdb.orm.companion import companion_value
from vaultdb.orm.key_asking import active_key, index_keys
from vaultdb.orm.writing.values import is_expression_type

if TYPE_CHECKING:
    from vaultdb.orm.writing.keys import Bindings
    from vaultdb.orm.writing.table import EncryptedColumn
    from vaultdb.orm.writing.write import Row, Write


def encrypt_rows(
    write: Write,
    rows: Sequence[Row],
    columns: Sequence[EncryptedColumn],
    bindings: Bindings,
) -> None:
    """Replace the values of these columns by ciphertexts, and fill their companions.

    Tenant and DEK are looked up once, nonce tails drawn once for all values of the statement.

    Args:
        write: the statement.
        rows: rows that have a value, or None, for each column.
        columns: the columns that are written.
        bindings: the row bindings of the rows, for each way that the columns are bound; none are
            needed when all values are None.

    Raises:
        ValueRefused: a value does not fit its column.
        KeyMissing, KeyUnavailable, KeyDenied: there is no key to encrypt with.

    """
    tails = nonce_tails(len(rows) * len(columns))
    for number, column in enumerate(columns):
        _check_tenant(write, rows, column)
        if column.companion is not None:
            _fill_companion(write, rows, column)
        start = number * len(rows)
        _encrypt(write, rows, column, bindings, tails[start : start + len(rows)])


def refuse_expressions(rows: Sequence[Row], columns: Sequence[EncryptedColumn]) -> None:
    """Refuse SQL as the value of an encrypted column: the server cannot encrypt."""
    for column in columns:
        key = column.key
        if any(map(is_expression_type, {type(row[key]) for row in rows})):
            raise StatementRefused(
                f"{column.column} is encrypted and can only be set to a plain value, not to SQL: "
                "read the value first and set it"
            )


def _encrypt(
    write: Write,
    rows: Sequence[Row],
    column: EncryptedColumn,
    bindings: Bindings,
    tails: Sequence[bytes],
) -> None:
    key = column.key
    values = [row[key] for row in rows]
    types = set(map(type, values))
    if types == {NoneType}:
        return
    bound = [COLUMN_ONLY] * len(rows) if column.row_key is None else bindings[column.row_key]
    if NoneType in types:
        given = [value is not None for value in values]
        rows, values = list(compress(rows, given)), list(compress(values, given))
        bound, tails = list(compress(bound, given)), list(compress(tails, given))
    dek = active_key(write.runtime.keyring, write.tenant, column.type.keyset)
    frames = column.type.encode_all(values)
    envelopes = dek.encrypt_all(column.identity, frames, bound, tails)
    for row, envelope in zip(rows, envelopes, strict=True):
        row[key] = envelope


def _fill_companion(write: Write, rows: Sequence[Row], column: EncryptedColumn) -> None:
    assert column.companion is not None
    key, index_key = column.key, column.companion.key
    if all(row[key] is None for row in rows):
        keys: Sequence[Any] = ()
    else:
        keys = index_keys(write.runtime.keyring, write.tenant, column.type.keyset)
    for row in rows:
        value = row[key]
        row[index_key] = None if value is None else companion_value(column.column, value, keys)


def _check_tenant(write: Write, rows: Sequence[Row], column: EncryptedColumn) -> None:
    """Refuse a row that says that it is another tenant's: it could not be read."""
    tenant_column = column.tenant_column
    if tenant_column is None or all(row[column.key] is None for row in rows):
        return
    key = tenant_column.key
    if key in rows[0]:
        wrong = any(str(row.get(key)) != write.tenant for row in rows)
    else:
        defaults = (tenant_column.default, tenant_column.server_default)
        wrong = bool(write.statement.is_insert) and defaults == (None, None)
    if wrong:
        raise ValueRefused(
            f"{tenant_column} must name the tenant whose keys encrypt the row, that of "
            "acting_as(tenant=...) or of the engine: write each row as its own tenant"
        )
