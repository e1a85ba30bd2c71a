"""The packages whose ciphertext vaultdb reads; both use what SQLAlchemy 2.1 warns about."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from advanced_alchemy.types.encrypted_string import (
        EncryptedString,
        FernetBackend,
        PGCryptoBackend,
    )
    from sqlalchemy_utils import EncryptedType, StringEncryptedType
    from sqlalchemy_utils.types.encrypted.encrypted_type import (
        AesEngine,
        AesGcmEngine,
        FernetEngine,
    )

__all__ = [
    "AesEngine",
    "AesGcmEngine",
    "EncryptedString",
    "EncryptedType",
    "FernetBackend",
    "FernetEngine",
    "PGCryptoBackend",
    "StringEncryptedType",
]
