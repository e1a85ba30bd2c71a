"""What is derived from a DEK: its id, and the keys of blind indexes."""

from __future__ import annotations

import hmac
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vaultdb.crypto.associated_data import name_bytes
from vaultdb.crypto.encoding import canon
from vaultdb.crypto.limits import KEY_ID_SIZE, KEY_SIZE

KEY_ID_LABEL: Final = b"vaultdb/key-id/v1"
INDEX_LABEL: Final = b"vaultdb/index/v1"


def key_id(dek: bytes) -> bytes:
    """Compute the id of a DEK, which commits to it.

    Recompute it at every unwrap: a wrapped key that was replaced has another id.

    Args:
        dek: 32 bytes, secret.

    Returns:
        16 bytes, public: `HMAC-SHA256(DEK, "vaultdb/key-id/v1")[0:16]`.

    Raises:
        ValueError: a key of another size.

    """
    return hmac.digest(check_key(dek), KEY_ID_LABEL, "sha256")[:KEY_ID_SIZE]


def index_key(index_dek: bytes, *, realm: UUID, tenant: str, domain: str, kind: str) -> bytes:
    """Derive the key of one blind index (HKDF-SHA256, RFC 5869, no salt).

    Args:
        index_dek: 32 bytes, secret, of purpose `index`.
        realm: the installation's UUID.
        tenant: the DEK's tenant, `""` when there is none.
        domain: the index domain; columns of one domain can be joined.
        kind: the kind of index, for example `equality`.

    Returns:
        32 bytes, secret.

    """
    info = canon(
        INDEX_LABEL,
        realm.bytes,
        name_bytes("tenant", tenant, empty=True),
        name_bytes("index domain", domain),
        name_bytes("index kind", kind),
    )
    return HKDF(SHA256(), KEY_SIZE, salt=None, info=info).derive(check_key(index_dek))


def check_key(dek: bytes) -> bytes:
    """Return the DEK if it has 32 bytes.

    Raises:
        ValueError: it has not.

    """
    if len(dek) != KEY_SIZE:
        raise ValueError("a data-encryption key has 32 bytes")
    return dek
