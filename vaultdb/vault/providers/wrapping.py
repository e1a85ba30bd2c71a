"""Wrapping DEKs with a KEK that this process holds itself, for the local and memory providers.

The wrapped text is `vaultdb:v<KEK version>:<base64 of nonce ‖ ciphertext ‖ tag>`: AES-256-GCM
(NIST SP 800-38D) with a random 96-bit nonce, the context as associated data. A KEK wraps far fewer
than the 2^32 DEKs at which random nonces become a concern.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vaultdb.errors import KeyDenied, KeyringError

KEK_SIZE = 32
"""Bytes in a KEK: AES-256."""
NONCE_SIZE = 12
"""Bytes in a nonce: the size GCM is specified for without hashing."""
_PREFIX = "vaultdb:v"


def wrap(kek: bytes, version: int, context: bytes, dek: bytes) -> str:
    """Encrypt a DEK under a KEK (32 secret bytes), bound to its context."""
    nonce = os.urandom(NONCE_SIZE)
    sealed = nonce + AESGCM(kek).encrypt(nonce, dek, context)
    return f"{_PREFIX}{version}:{base64.b64encode(sealed).decode()}"


def unwrap(keks: Mapping[int, bytes], wrapped: str, context: bytes) -> bytes:
    """Decrypt a wrapped DEK.

    Raises:
        KeyDenied: malformed, of a KEK version that is not there, or bound to another context.

    """
    label, _, body = wrapped.removeprefix(_PREFIX).partition(":")
    try:
        kek = keks[int(label)]
        sealed = base64.b64decode(body, validate=True)
        return AESGCM(kek).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], context)
    except (KeyError, ValueError, binascii.Error, InvalidTag):
        pass
    raise KeyDenied("the wrapped data key does not unwrap under this key-encryption key")


def unwrap_each(
    keks: Mapping[int, bytes], keys: Sequence[tuple[str, bytes]]
) -> list[bytes | KeyringError]:
    """Unwrap pairs of wrapped text and context; an error takes the place of its item."""
    results: list[bytes | KeyringError] = []
    for wrapped, context in keys:
        try:
            results.append(unwrap(keks, wrapped, context))
        except KeyringError as error:
            results.append(error)
    return results


def rewrap_each(
    keks: Mapping[int, bytes], keys: Sequence[tuple[str, bytes]]
) -> list[tuple[str, int] | KeyringError]:
    """Wrap DEKs under the newest KEK; an error takes the place of its item."""
    newest = max(keks)
    return [
        dek if isinstance(dek, KeyringError) else (wrap(keks[newest], newest, context, dek), newest)
        for dek, (_, context) in zip(unwrap_each(keks, keys), keys, strict=True)
    ]
