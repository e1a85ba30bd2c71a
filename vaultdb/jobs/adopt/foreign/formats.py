"""The formats that can be left, by the names that commands know them by."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.foreign.aes import AesCbcReader, AesGcmReader
from vaultdb.jobs.adopt.foreign.fernet import FernetReader
from vaultdb.jobs.adopt.foreign.openpgp import OpenPgpReader
from vaultdb.jobs.adopt.foreign.padding import Padding


class Reader(Protocol):
    """Decrypts what one format holds."""

    def read(self, stored: bytes) -> bytes:
        """Return the plaintext, secret.

        Raises:
            Unreadable: the value is not of the format or not of the key.

        """
        ...


class Format(StrEnum):
    """What a column's values were encrypted by."""

    FERNET = "fernet"
    SQLALCHEMY_UTILS_AES = "sqlalchemy-utils-aes"
    SQLALCHEMY_UTILS_GCM = "sqlalchemy-utils-gcm"
    SQLALCHEMY_UTILS_FERNET = "sqlalchemy-utils-fernet"
    ADVANCED_ALCHEMY_FERNET = "advanced-alchemy-fernet"
    ADVANCED_ALCHEMY_PGCRYPTO = "advanced-alchemy-pgcrypto"
    PGCRYPTO = "pgcrypto"

    def reader(self, secret: bytes, *, padding: Padding = Padding.NAIVE) -> Reader:
        """Return what decrypts the format.

        Args:
            secret: the key as the package was given it; for `fernet`, which has several, one a
                line and the newest first.
            padding: of `sqlalchemy-utils-aes` only.

        Raises:
            ConfigurationError: this cannot be a key of the format.

        """
        if not secret:
            raise ConfigurationError(f"the key for --from {self} is empty")
        match self:
            case Format.FERNET:
                return FernetReader(_lines(secret))
            case Format.SQLALCHEMY_UTILS_AES:
                return AesCbcReader(secret, padding)
            case Format.SQLALCHEMY_UTILS_GCM:
                return AesGcmReader(secret)
            case Format.SQLALCHEMY_UTILS_FERNET | Format.ADVANCED_ALCHEMY_FERNET:
                return FernetReader.hashed([secret])
            case Format.ADVANCED_ALCHEMY_PGCRYPTO:
                return OpenPgpReader(base64.urlsafe_b64encode(secret))
            case Format.PGCRYPTO:
                return OpenPgpReader(secret)


def _lines(secret: bytes) -> Sequence[bytes]:
    return [line.strip() for line in secret.splitlines() if line.strip()]
