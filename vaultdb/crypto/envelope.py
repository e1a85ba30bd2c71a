"""The value envelope, suite 1: what stands in the database.

::

    off  len  field
    0    1    magic   0xF6     never a byte of UTF-8: text is not mistaken for an envelope
    1    1    suite   0x01     XAES-256-GCM, associated data v1
    2    16   key id  HMAC-SHA256(DEK, "vaultdb/key-id/v1")[0:16]
    18   24   nonce   12 bytes writer prefix ‖ 12 bytes tail, fresh for each value
    42   n    ciphertext of the frame
    42+n 16   tag
"""

from __future__ import annotations

from typing import Final

from vaultdb.crypto.limits import (
    HEADER_SIZE,
    KEY_ID_SIZE,
    MAX_ENVELOPE_SIZE,
    OVERHEAD,
)
from vaultdb.crypto.reason import Reason
from vaultdb.errors import DecryptionError

MAGIC: Final = 0xF6
SUITE: Final = 0x01


def header_of(key_id: bytes) -> bytes:
    """Build the header of every envelope under one DEK.

    Args:
        key_id: 16 bytes, public.

    """
    if len(key_id) != KEY_ID_SIZE:
        raise ValueError("a key id has 16 bytes")
    return bytes((MAGIC, SUITE)) + key_id


def check_envelope(envelope: object) -> bytes:
    """Return the bytes if they have the shape of an envelope of a known suite.

    Args:
        envelope: whatever the database returned; untrusted.

    Raises:
        DecryptionError: they do not; bytes that are no envelope are never passed through.

    """
    if not isinstance(envelope, bytes | bytearray | memoryview):
        raise DecryptionError(Reason.MALFORMED)
    checked = bytes(envelope)
    if not OVERHEAD <= len(checked) <= MAX_ENVELOPE_SIZE or checked[0] != MAGIC:
        raise DecryptionError(Reason.MALFORMED)
    if checked[1] != SUITE:
        raise DecryptionError(Reason.SUITE)
    return checked


def key_id_of(envelope: bytes) -> bytes:
    """Tell which DEK an envelope names; 16 bytes, public, not yet authenticated.

    Raises:
        DecryptionError: the bytes are no envelope of a known suite.

    """
    return check_envelope(envelope)[2:HEADER_SIZE]
