"""Encrypting the rows of one statement: the value path."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any

from vaultdb.crypto.nonce import nonce_tails
from vaultdb.crypto.row_binding import COLUMN_ONLY
from vaultdb.errors import StatementRefused, ValueRefused
from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.orm.companion import companion_value, companion_values
from vaultdb.orm.key_asking import active_key, ensure_keys, index_keys
from vaultdb.orm.writing.plaintext import fill_plaintext
from vaultdb.orm.writing.subjects import Subjects, text_of
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
    subjects: Subjects = MappingProxyType({}),
) -> None:
    """Replace the values of these columns by ciphertexts, and fill their companions.

    Tenant and DEK are looked up once, nonce tails drawn once for all values of the statement.

    Args:
        write: the statement.
        rows: rows that have a value, or None, for each column.
        columns: the columns that are written.
        bindings: the row bindings of the rows, for each way that the columns are bound; none are
            needed when all values are None.
        subjects: whose the rows are, for the columns that are encrypted by data subject.

    Raises:
        ValueRefused: a value does not fit its column, or it is not known whose it is.
        KeyMissing, KeyUnavailable, KeyDenied: there is no key to encrypt with.

    """
    tails = nonce_tails(len(rows) * len(columns))
    for number, column in enumerate(columns):
        _check_tenant(write, rows, column)
        if column.companion is not None:
            _fill_companion(write, rows, column)
        if column.plain is not None:
            fill_plaintext(rows, column)
        start = number * len(rows)
        _encrypt(write, rows, column, bindings, tails[start : start + len(rows)], subjects=subjects)
    if write.written is not None:
        write.written.encrypted(rows, columns, bindings)


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
    *,
    subjects: Subjects,
) -> None:
    key = column.key
    values = [row[key] for row in rows]
    types = set(map(type, values))
    if types == {NoneType}:
        return
    bound = [COLUMN_ONLY] * len(rows) if column.row_key is None else bindings[column.row_key]
    whose: Sequence[Any] = ()
    if column.subject_column is not None:
        whose = subjects.get(column.subject_column.key) or [None] * len(rows)
    if NoneType in types:
        given = [value is not None for value in values]
        rows, values = list(compress(rows, given)), list(compress(values, given))
        bound, tails = list(compress(bound, given)), list(compress(tails, given))
        whose = list(compress(whose, given))
    frames = column.type.encode_all(values)
    if column.subject_column is not None:
        envelopes = _encrypt_by_subject(write, column, whose, frames, bound, tails)
    else:
        dek = active_key(write.runtime.keyring, write.tenant, column.type.keyset)
        envelopes = dek.encrypt_all(column.identity, frames, bound, tails)
    for row, envelope in zip(rows, envelopes, strict=True):
        row[key] = envelope


def _encrypt_by_subject(  # noqa: PLR0917  # six lists of one length and what they belong to
    write: Write,
    column: EncryptedColumn,
    whose: Sequence[Any],
    frames: Sequence[bytes],
    bound: Sequence[bytes],
    tails: Sequence[bytes],
) -> list[bytes]:
    """Encrypt each value with the DEK of its data subject; all of them are loaded at once."""
    keyring, tenant, keyset = write.runtime.keyring, write.tenant, column.type.keyset
    places: dict[str, list[int]] = {}
    for place, value in enumerate(whose):
        places.setdefault(text_of(column, value), []).append(place)
    ensure_keys(keyring, [KeyScope(tenant, keyset, Purpose.DATA, name) for name in places])
    envelopes = [b""] * len(frames)
    for name, mine in places.items():
        dek = active_key(keyring, tenant, keyset, subject=name)
        made = dek.encrypt_all(
            column.identity,
            [frames[place] for place in mine],
            [bound[place] for place in mine],
            [tails[place] for place in mine],
        )
        for place, envelope in zip(mine, made, strict=True):
            envelopes[place] = envelope
    return envelopes


def _fill_companion(write: Write, rows: Sequence[Row], column: EncryptedColumn) -> None:
    assert column.companion is not None
    key, index_key = column.key, column.companion.key
    if all(row[key] is None for row in rows):
        keys: Sequence[Any] = ()
    else:
        keys = index_keys(write.runtime.keyring, write.tenant, column.type.keyset)
    second = column.second_companion
    if second is not None:
        for row in rows:
            row[index_key], row[second.key] = companion_values(column.column, row[key], keys)
        return
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
