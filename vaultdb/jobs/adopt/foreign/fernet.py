"""Fernet tokens, of one key or of several (MultiFernet)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.foreign.failure import WRONG_KEY, Unreadable

_REMEDY = "a Fernet key is 32 bytes in URL-safe base64, one key a line and the newest first"


class FernetReader:
    """Reads tokens of the Fernet specification, whatever their age.

    Args:
        keys: 32 secret bytes each, in URL-safe base64; the newest first.

    Raises:
        ConfigurationError: one is not such a key.

    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ConfigurationError(_REMEDY)
        self._fernet = MultiFernet([_fernet(key) for key in keys])

    @classmethod
    def hashed(cls, secrets: Sequence[bytes]) -> FernetReader:
        """Take secrets of any length: their SHA-256 is the key, as sqlalchemy-utils has it."""
        return cls([base64.urlsafe_b64encode(sha256(secret).digest()) for secret in secrets])

    def read(self, stored: bytes) -> bytes:
        """Return the plaintext, secret.

        Raises:
            Unreadable: no token, altered, or of another key; Fernet does not tell which.

        """
        try:
            return self._fernet.decrypt(stored)
        except InvalidToken:
            pass
        raise Unreadable(WRONG_KEY)


def _fernet(key: bytes) -> Fernet:
    try:
        return Fernet(key)
    except (ValueError, binascii.Error):
        pass
    raise ConfigurationError(_REMEDY)
