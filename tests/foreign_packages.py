"""The packages whose ciphertext vaultdb reads; both use what SQLAlchemy 2.1 warns about."""

from __future__ import annotations

import warnings

from sqlalchemy.sql import functions

# One of them replaces SQL functions for the whole process: `func.row_to_json` would be its own.
_functions = functions._registry["_default"]
_before = dict(_functions)

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

for _name in _functions.keys() - _before.keys():
    if _functions[_name].__module__.startswith("sqlalchemy_utils"):
        del _functions[_name]

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
