"""Reading a value: from what the database returned to what was stored.

The function here runs once for each value of a result. SQLAlchemy memoises it per type and dialect,
so it keeps names; the keyring and the tenant are asked for each value.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as TooShort
from typing import TYPE_CHECKING, Any, TypeVar

from vaultdb.crypto.envelope import MAGIC
from vaultdb.crypto.reason import Reason
from vaultdb.crypto.row_binding import COLUMN_ONLY
from vaultdb.errors import DecryptionError, StatementRefused
from vaultdb.keys.wrapped_key import Purpose
from vaultdb.orm.runtime import ATTRIBUTE, runtime_of
from vaultdb.orm.sections import split_sections, verify_sections

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from vaultdb.orm.types import Encrypted

T = TypeVar("T")

_size_at_start = Struct(">I").unpack_from
_SIZE = 4
_KEY_ID = slice(2, 18)


def value_reader(type_: Encrypted[T], dialect: Dialect) -> Callable[[Any], T | None]:
    """Return the function that reads values of one column on one engine."""
    row_bound = type_.bind != "column"
    keyset = type_.keyset
    identity = type_.identity
    decode = type_.decode
    data = Purpose.DATA

    def read(value: Any) -> T | None:
        if value is None:
            return None
        runtime = getattr(dialect, ATTRIBUTE, None) or runtime_of(dialect)
        try:
            if value[0] == MAGIC:
                row, envelope, sections = _without_row(row_bound), value, None
            else:
                end = _SIZE + _size_at_start(value)[0]
                row, envelope, sections = value[_SIZE:end], value[end:], None
                if (end == _SIZE) is row_bound:
                    raise DecryptionError("no row")
                if envelope[0] != MAGIC:
                    sections, envelope = split_sections(envelope)
        except (IndexError, TypeError, TooShort):
            raise DecryptionError(Reason.MALFORMED) from None
        key = runtime.keyring.get(envelope[_KEY_ID])
        scope = key.scope
        if scope.tenant != runtime.tenant_now() or scope.keyset != keyset or scope.purpose != data:
            raise DecryptionError(Reason.SCOPE)
        plain = decode(key.decrypt(identity, envelope, row))
        if sections is not None:
            verify_sections(sections, type_, plain, runtime)
        return plain

    return read


def _without_row(row_bound: bool) -> bytes:
    if row_bound:
        raise StatementRefused(
            "an encrypted value came without the key of its row: in textual SQL list the columns "
            "with vaultdb.columns(Model), elsewhere select the column itself"
        )
    return COLUMN_ONLY
