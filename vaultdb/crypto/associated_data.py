"""Associated data v1: what a value's tag vouches for besides the value.

::

    canon("vaultdb/aad/v1", realm, tenant, logical column name, type tag, header, row binding)

The first six parts are one prefix per DEK and column, kept by `ValueCipher`; the row binding is
added for each value.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from vaultdb.crypto.encoding import canon, pack_u32
from vaultdb.crypto.limits import MAX_NAME_SIZE
from vaultdb.errors import ConfigurationError

LABEL: Final = b"vaultdb/aad/v1"
_PARTS: Final = 7


@dataclass(frozen=True, slots=True)
class ColumnIdentity:
    """What a column is called in associated data: names only, no key.

    Args:
        logical_name: `schema.table.column` as declared first; 1 to 255 UTF-8 bytes in NFC.
        type_tag: the codec's tag, for example `str`.

    Raises:
        ConfigurationError: a name that is empty, too long, not NFC or has control characters.

    """

    logical_name: str
    type_tag: str
    encoded: bytes = field(init=False, repr=False, compare=False)
    """Both names as they stand in associated data; a dictionary key whose hash Python keeps."""

    def __post_init__(self) -> None:
        name = name_bytes("logical name", self.logical_name)
        tag = name_bytes("type tag", self.type_tag)
        object.__setattr__(self, "encoded", canon(name, tag)[1:])


def name_bytes(what: str, name: str, *, empty: bool = False) -> bytes:
    """Encode a name that is authenticated.

    Names that look alike must be alike: decomposed characters and control characters are refused.

    Args:
        what: what the name is, for the message.
        name: public.
        empty: whether `""` is a name.

    Raises:
        ConfigurationError: the name cannot be authenticated.

    """
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        encoded = b""
    acceptable = (
        len(encoded) <= MAX_NAME_SIZE
        and bool(encoded) is bool(name)
        and (empty or bool(name))
        and unicodedata.is_normalized("NFC", name)
        and not any(unicodedata.category(character) == "Cc" for character in name)
    )
    if not acceptable:
        raise ConfigurationError(
            f"the {what} {name!r} cannot be authenticated; use 1 to {MAX_NAME_SIZE} bytes of "
            "UTF-8 in normal form C without control characters"
        )
    return encoded


def associated_data_prefix(realm: UUID, tenant: str, column: bytes, header: bytes) -> bytes:
    """Build everything of the associated data before the row binding.

    Args:
        realm: the installation's UUID, from configuration.
        tenant: the DEK's tenant, `""` when there is none.
        column: `ColumnIdentity.encoded`: parts four and five.
        header: the envelope's first 18 bytes.

    """
    before = canon(LABEL, realm.bytes, name_bytes("tenant", tenant, empty=True))
    return bytes((_PARTS,)) + before[1:] + column + canon(header)[1:]


def associated_data(prefix: bytes, row: bytes) -> bytes:
    """Complete the associated data of one value.

    Args:
        prefix: from `associated_data_prefix`.
        row: the row binding, or `COLUMN_ONLY`.

    """
    return prefix + pack_u32(len(row)) + row
