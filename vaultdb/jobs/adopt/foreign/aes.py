"""AES as sqlalchemy-utils uses it: its AesEngine (CBC) and its AesGcmEngine."""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vaultdb.jobs.adopt.foreign.failure import MALFORMED, WRONG_KEY, Unreadable
from vaultdb.jobs.adopt.foreign.padding import BLOCK_SIZE, Padding

NONCE_SIZE = 12
"""Bytes of a GCM nonce, in front of the tag."""
TAG_SIZE = 16
"""Bytes of a GCM tag, between nonce and ciphertext."""


class AesCbcReader:
    """Base64 of AES-256-CBC; the key is SHA-256 of the secret and the IV the key's first half.

    Equal values are equal here, and nothing notices an alteration.

    Args:
        secret: of any length.
        padding: as the column was declared.

    """

    def __init__(self, secret: bytes, padding: Padding) -> None:
        key = sha256(secret).digest()
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:BLOCK_SIZE]))
        self._padding = padding

    def read(self, stored: bytes) -> bytes:
        """Return the plaintext, secret.

        Raises:
            Unreadable: not base64 of whole blocks, or not padded as declared.

        """
        ciphertext = from_base64(stored)
        if not ciphertext or len(ciphertext) % BLOCK_SIZE:
            raise Unreadable(MALFORMED)
        decryptor = self._cipher.decryptor()
        return self._padding.remove(decryptor.update(ciphertext) + decryptor.finalize())


class AesGcmReader:
    """Base64 of nonce, tag and AES-256-GCM ciphertext; the key is SHA-256 of the secret.

    Args:
        secret: of any length.

    """

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(sha256(secret).digest())

    def read(self, stored: bytes) -> bytes:
        """Return the plaintext, secret.

        Raises:
            Unreadable: too short, altered, or of another key.

        """
        found = from_base64(stored)
        nonce, rest = found[:NONCE_SIZE], found[NONCE_SIZE:]
        if len(rest) < TAG_SIZE:
            raise Unreadable(MALFORMED)
        try:
            return self._cipher.decrypt(nonce, rest[TAG_SIZE:] + rest[:TAG_SIZE], None)
        except InvalidTag:
            pass
        raise Unreadable(WRONG_KEY)


def from_base64(stored: bytes) -> bytes:
    """Return the bytes of standard base64.

    Raises:
        Unreadable: it is none.

    """
    try:
        return base64.b64decode(stored, validate=True)
    except (ValueError, binascii.Error):
        pass
    raise Unreadable(MALFORMED)
