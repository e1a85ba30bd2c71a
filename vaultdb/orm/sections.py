"""What comes along with a value to be verified: its blind-index value, its row's tenant column."""

from __future__ import annotations

import hmac
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from vaultdb.crypto.blind_index import EQUALITY
from vaultdb.crypto.envelope import MAGIC
from vaultdb.crypto.limits import INDEX_VALUE_SIZE
from vaultdb.crypto.reason import Reason
from vaultdb.errors import DecryptionError
from vaultdb.orm.companion import index_input

if TYPE_CHECKING:
    from vaultdb.orm.runtime import Runtime
    from vaultdb.orm.types import Encrypted


class _Marker(IntEnum):
    """What a section holds; unlike the first byte of an envelope."""

    COMPANION = 0xC1
    TENANT = 0xC2


COMPANION: Final = _Marker.COMPANION
TENANT: Final = _Marker.TENANT
_MARKER_SIZE: Final = 1
_HEAD_SIZE: Final = 5  # marker and size

Section = tuple[int, bytes]


def split_sections(value: bytes, type_: Encrypted[Any]) -> tuple[list[Section], bytes]:
    """Take sections and envelope apart.

    Args:
        value: what follows the row binding; untrusted.
        type_: the column's type, which says what may come and what must.

    Raises:
        DecryptionError: neither a section nor an envelope, or other sections than the statement
            has asked for: a companion may hold more than an index value.

    """
    sections: list[Section] = []
    while value[:1] != bytes((MAGIC,)):
        start, end = _bounds(value)
        if len(value) < end:
            raise DecryptionError(Reason.MALFORMED)
        sections.append((value[0], value[start:end]))
        value = value[end:]
    markers = [marker for marker, _ in sections]
    if markers not in _expected(type_):
        raise DecryptionError(Reason.MALFORMED)
    return sections, value


def verify_sections(
    sections: list[Section], type_: Encrypted[Any], plain: object, runtime: Runtime
) -> None:
    """Compare what came along with what the value says.

    Args:
        sections: from `split_sections`; untrusted.
        type_: the column's type.
        plain: the decrypted value, secret.
        runtime: knows the tenant, which the value's DEK was found to belong to, and the keys.

    Raises:
        DecryptionError: the index value belongs to another value, or the row to another tenant.

    """
    for marker, found in sections:
        if marker == TENANT:
            if found != runtime.tenant_now().encode():
                raise DecryptionError(Reason.SCOPE)
        elif not _is_index_value(found, type_, plain, runtime):
            raise DecryptionError(Reason.INDEX)


def _expected(type_: Encrypted[Any]) -> list[list[int]]:
    """Return the sections that can come with a value: an index value only where one searches."""
    always: list[int] = [] if type_.tenant_column is None else [TENANT]
    return [always] if type_.index is None else [always, [COMPANION, *always]]


def _is_index_value(found: bytes, type_: Encrypted[Any], plain: object, runtime: Runtime) -> bool:
    message = index_input(type_, plain)
    keys = runtime.keyring.index_keys(runtime.tenant_now(), type_.keyset)
    return any(
        hmac.compare_digest(found, key.index_digest(type_.index_domain, EQUALITY, message))
        for key in keys
    )


def _bounds(value: bytes) -> tuple[int, int]:
    match value[0] if value else None:
        case _Marker.COMPANION:
            return _MARKER_SIZE, _MARKER_SIZE + INDEX_VALUE_SIZE
        case _Marker.TENANT:
            return _HEAD_SIZE, _HEAD_SIZE + int.from_bytes(value[_MARKER_SIZE:_HEAD_SIZE], "big")
        case _:
            raise DecryptionError(Reason.MALFORMED)
