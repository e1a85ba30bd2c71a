"""CFB of AES, decryption only: `cryptography` is about to drop the mode."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK_SIZE = 16


def decrypt_cfb(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """Decrypt with full-block feedback: each block is XORed with the encryption of the one before.

    Args:
        key: 16, 24 or 32 bytes, secret.
        iv: 16 bytes.
        ciphertext: of any length.

    """
    # The blocks before are all known, so one call in ECB mode encrypts them all.
    before = (iv + ciphertext)[: -(-len(ciphertext) // BLOCK_SIZE) * BLOCK_SIZE]
    before += bytes(-len(before) % BLOCK_SIZE)
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # within CFB
    stream = encryptor.update(before)[: len(ciphertext)]
    mixed = int.from_bytes(stream, "big") ^ int.from_bytes(ciphertext, "big")
    return mixed.to_bytes(len(ciphertext), "big")
