"""The blind-index value: finds equal values without decrypting any.

::

    0xB1 ‖ 0x01 ‖ index key id[0:8] ‖ HMAC-SHA256(K, message)[0:16]                    26 bytes

    K        index_key(index DEK, realm, tenant, domain, kind)
    message  canon(type tag, normaliser id, canonical value)
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn
from uuid import UUID

from vaultdb.crypto.derive import check_key, index_key, key_id
from vaultdb.crypto.encoding import canon
from vaultdb.crypto.limits import INDEX_KEY_ID_SIZE, INDEX_TAG_SIZE

MAGIC: Final = 0xB1
VERSION: Final = 0x01
EQUALITY: Final = "equality"
"""The kind of index that answers `==` and `in_`."""


def index_message(type_tag: str, normaliser_id: str, canonical: bytes) -> bytes:
    """Build what is authenticated for one value.

    Args:
        type_tag: the codec's tag.
        normaliser_id: the normaliser's name and version, for example `casefold/1`.
        canonical: the codec's canonical bytes of the normalised value; secret.

    """
    return canon(type_tag.encode(), normaliser_id.encode(), canonical)


def digest(key: bytes, index_key_id: bytes, message: bytes) -> bytes:
    """Compute one blind-index value.

    Args:
        key: 32 bytes from `index_key`, secret.
        index_key_id: the id of the index DEK, 16 bytes.
        message: from `index_message`, secret.

    Returns:
        26 bytes, public; equal for equal values.

    """
    tag = hmac.digest(key, message, "sha256")[:INDEX_TAG_SIZE]
    return bytes((MAGIC, VERSION)) + index_key_id[:INDEX_KEY_ID_SIZE] + tag


class BlindIndex:
    """Blind-index values under one index DEK of one realm and tenant.

    Args:
        dek: 32 bytes, secret, of purpose `index`.
        realm: the installation's UUID.
        tenant: the DEK's tenant, `""` when there is none.

    Raises:
        ValueError: a DEK of another size.

    """

    __slots__ = ("_dek", "_keys", "_realm", "_tenant", "key_id")

    def __init__(self, dek: bytes, *, realm: UUID, tenant: str) -> None:
        self._dek = check_key(bytes(dek))
        self._realm = realm
        self._tenant = tenant
        self._keys: dict[tuple[str, str], bytes] = {}
        self.key_id = key_id(dek)

    def digest(self, domain: str, kind: str, message: bytes) -> bytes:
        """Compute the blind-index value of a message in one index domain.

        Args:
            domain: the index domain.
            kind: `EQUALITY`.
            message: from `index_message`, secret.

        """
        key = self._keys.get((domain, kind)) or self._derive(domain, kind)
        return digest(key, self.key_id, message)

    def __repr__(self) -> str:
        return f"<BlindIndex {self.key_id.hex()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a blind index holds a key and cannot be pickled or copied")

    def _derive(self, domain: str, kind: str) -> bytes:
        key = index_key(self._dek, realm=self._realm, tenant=self._tenant, domain=domain, kind=kind)
        self._keys[domain, kind] = key
        return key
