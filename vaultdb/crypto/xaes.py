"""XAES-256-GCM: AES-256-GCM with nonces long enough to draw at random.

C2SP XAES-256-GCM (https://c2sp.org/XAES-256-GCM): the first half of the 192-bit nonce selects a
subkey through CMAC in counter mode (NIST SP 800-108), the second half is the nonce of AES-256-GCM.
"""

from __future__ import annotations

from typing import Final, NoReturn

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vaultdb.crypto.limits import KEY_SIZE, NONCE_PREFIX_SIZE, NONCE_SIZE

_BLOCK: Final = 16
_MASK: Final = (1 << 128) - 1
_FIELD: Final = 0x87  # x^128 = x^7 + x^2 + x + 1 in CMAC's field (NIST SP 800-38B, 5.3)
_FIRST: Final = b"\x00\x01X\x00"
_SECOND: Final = b"\x00\x02X\x00"


class XAES256GCM:
    """XAES-256-GCM under one key, as C2SP defines it.

    Args:
        key: 32 bytes, secret.

    Raises:
        ValueError: a key of another size.

    """

    __slots__ = ("_cipher", "_k1")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError("XAES-256-GCM takes a key of 32 bytes")
        self._cipher = Cipher(algorithms.AES256(key), modes.ECB())  # noqa: S305  # the bare block cipher, as CMAC needs
        doubled = int.from_bytes(self._block_encrypt(bytes(_BLOCK)), "big") << 1
        self._k1 = (doubled & _MASK) ^ (_FIELD if doubled >> 128 else 0)

    def subkey_cipher(self, prefix: bytes) -> AESGCM:
        """Derive the cipher of all nonces that begin with these 12 bytes."""
        if len(prefix) != NONCE_PREFIX_SIZE:
            raise ValueError("the subkey prefix has 12 bytes")
        blocks = b"".join(
            (int.from_bytes(counter + prefix, "big") ^ self._k1).to_bytes(_BLOCK, "big")
            for counter in (_FIRST, _SECOND)
        )
        return AESGCM(self._block_encrypt(blocks))

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Encrypt; returns ciphertext and tag.

        Args:
            nonce: 24 bytes, public, never used twice.
            data: secret.
            associated_data: public.

        Raises:
            ValueError: a nonce of another size.

        """
        cipher = self.subkey_cipher(_checked(nonce)[:NONCE_PREFIX_SIZE])
        return cipher.encrypt(nonce[NONCE_PREFIX_SIZE:], data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Decrypt ciphertext and tag.

        Raises:
            cryptography.exceptions.InvalidTag: anything is not what was encrypted.
            ValueError: a nonce of another size.

        """
        cipher = self.subkey_cipher(_checked(nonce)[:NONCE_PREFIX_SIZE])
        return cipher.decrypt(nonce[NONCE_PREFIX_SIZE:], data, associated_data)

    def __repr__(self) -> str:
        return "<XAES256GCM>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a cipher holds a key and cannot be pickled or copied")

    def _block_encrypt(self, blocks: bytes) -> bytes:
        # A context of its own for each call: contexts are not safe to share between threads.
        return self._cipher.encryptor().update(blocks)


def _checked(nonce: bytes) -> bytes:
    if len(nonce) != NONCE_SIZE:
        raise ValueError("XAES-256-GCM takes a nonce of 24 bytes")
    return nonce
