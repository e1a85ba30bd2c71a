"""Reading a value: from what the database returned to what was stored.

One of these functions runs once for each value of a result. SQLAlchemy memoises them per type and
dialect, so they keep names only; keyring and tenant are asked for each value.

The expected form of a value is read without a copy of its parts; everything else, from sections to
garbage, takes the long way round.
"""

from __future__ import annotations

import struct
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from vaultdb.crypto.envelope import MAGIC
from vaultdb.crypto.reason import Reason
from vaultdb.crypto.row_binding import COLUMN_ONLY
from vaultdb.errors import DecryptionError, StatementRefused, VaultDBError
from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.orm.auditing.failures import noted_failure
from vaultdb.orm.plaintext import plaintext_reader
from vaultdb.orm.runtime import Runtime, runtime_of
from vaultdb.orm.sections import split_sections, verify_sections
from vaultdb.orm.tenant import tenant_in_use

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from vaultdb.keys.data_key import DataKey
    from vaultdb.orm.types import Encrypted

T = TypeVar("T")
Reader = Callable[[Any], T | None]

_size_of_row = struct.Struct(">I").unpack_from
_SIZE = 4
_KEY_ID_START = 2
_KEY_ID_END = 18


def value_reader(type_: Encrypted[T], dialect: Dialect) -> Reader[T]:
    """Return the function that reads values of one column on one engine."""
    comes_with_row_only = type_.bind != "column" and type_.tenant_column is None
    read = (_row_reader if comes_with_row_only else _reader)(type_, dialect)
    return plaintext_reader(type_, dialect, read) if type_.allows_plaintext else read


def _row_reader(type_: Encrypted[T], dialect: Dialect) -> Reader[T]:
    """Read values that come with their row, and nothing else between."""
    identity = type_.identity
    keyset = type_.keyset
    decode = type_.decode
    read_slowly = _reader(type_, dialect)
    in_use = tenant_in_use
    trusted: KeyScope | None = None  # a scope of this column's keyset and purpose: names only

    def read(value: Any) -> T | None:
        nonlocal trusted
        if value is None:
            return None
        try:
            start = value[3] + _SIZE
            if value[start] != MAGIC or value[2] or start == _SIZE:
                return read_slowly(value)  # also a row binding of 256 bytes and more
        except (IndexError, TypeError):
            return read_slowly(value)
        key_id = value[start + _KEY_ID_START : start + _KEY_ID_END]
        last_id, last_key = in_use.last_key
        try:
            key = last_key() if key_id == last_id else None
            if key is None:
                key = key_to_read_with(key_id, keyset, runtime_of(dialect))
                in_use.last_key = (key_id, weakref.ref(key))
                trusted = key.scope
            elif key.scope is not trusted:
                check_scope(key, keyset, runtime_of(dialect))
                trusted = key.scope
            return decode(key.decrypt_bound(identity, value, start))
        except VaultDBError as error:
            raise noted_failure(error, runtime_of(dialect), type_, value) from None

    return read


def _reader(type_: Encrypted[T], dialect: Dialect) -> Reader[T]:
    """Read values of any form."""
    identity = type_.identity
    row_bound = type_.bind != "column"
    comes_alone = not row_bound and type_.tenant_column is None

    def read(value: Any) -> T | None:
        if value is None:
            return None
        runtime = runtime_of(dialect)
        try:
            row, rest = _take_row(value, row_bound, comes_alone=comes_alone)
            sections, envelope = split_sections(rest, type_)
            key = key_to_read_with(envelope[_KEY_ID_START:_KEY_ID_END], type_.keyset, runtime)
            plain = type_.decode(key.decrypt(identity, envelope, row))
            if sections:
                verify_sections(sections, type_, plain, runtime)
        except VaultDBError as error:
            raise noted_failure(error, runtime, type_, value) from None
        return plain

    return read


def key_to_read_with(key_id: bytes, keyset: str, runtime: Runtime) -> DataKey:
    """Return the DEK that an envelope names, if the reader may read with it.

    Raises:
        DecryptionError: it is unknown, or of another tenant, keyset or purpose.
        KeyringError: it cannot be had.

    """
    key = runtime.keyring.get(key_id, KeyScope(runtime.tenant_now(), keyset, Purpose.DATA))
    check_scope(key, keyset, runtime)
    return key


def check_scope(key: DataKey, keyset: str, runtime: Runtime) -> None:
    """Refuse a DEK that is not the one of the reader's tenant and the column's keyset.

    Raises:
        DecryptionError: the key id names a DEK of somebody else, or for something else.

    """
    wanted = KeyScope(runtime.tenant_now(), keyset, Purpose.DATA)
    if not key.scope.is_within(wanted) or key.realm != runtime.keyring.realm:
        raise DecryptionError(Reason.SCOPE)


def _take_row(value: Any, row_bound: bool, *, comes_alone: bool) -> tuple[bytes, bytes]:
    """Split what the database returned into row binding and the rest."""
    if not isinstance(value, bytes) or len(value) <= _SIZE:
        raise DecryptionError(Reason.MALFORMED)
    if value[0] == MAGIC:
        return _without_row(comes_alone), value
    end = _SIZE + _size_of_row(value)[0]
    row = value[_SIZE:end]
    if row_bound is (row == COLUMN_ONLY):
        raise DecryptionError(Reason.ROW)
    return row, value[end:]


def _without_row(comes_alone: bool) -> bytes:
    if not comes_alone:
        raise StatementRefused(
            "an encrypted value came without the key of its row: in textual SQL list the columns "
            "with vaultdb.columns(Model), elsewhere select the column itself"
        )
    return COLUMN_ONLY
