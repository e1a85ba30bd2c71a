"""Encryption at rest for SQLAlchemy and PostgreSQL, with keys that stay in Vault.

The names here are the public ones, with `vaultdb.testing` for tests of applications. They are
imported when they are first used: a command that only needs the keys does not pay for the ORM.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaultdb.engine import create_async_engine, create_engine, install, plaintext_reads
    from vaultdb.errors import (
        AuditUnavailable,
        ConfigurationError,
        DecryptionError,
        DevStackError,
        KeyDenied,
        KeyMissing,
        KeyringError,
        KeyRollback,
        KeyUnavailable,
        NotPrepared,
        PrincipalMissing,
        SchemaError,
        StatementRefused,
        ValueRefused,
        VaultDBError,
        VaultDenied,
        VaultError,
        VaultRejected,
        VaultUnavailable,
        VaultUntrusted,
    )
    from vaultdb.guard.principal import Acting, acting_as
    from vaultdb.orm.bulk import DecryptedBatch, bulk_decrypt, copy_in
    from vaultdb.orm.columns import encrypted
    from vaultdb.orm.indexes import Equality
    from vaultdb.orm.text_columns import columns
    from vaultdb.orm.types import Encrypted
    from vaultdb.roles.access import access
    from vaultdb.roles.grant import Grant
    from vaultdb.settings import Settings

__all__ = [
    "Acting",
    "AuditUnavailable",
    "ConfigurationError",
    "DecryptedBatch",
    "DecryptionError",
    "DevStackError",
    "Encrypted",
    "Equality",
    "Grant",
    "KeyDenied",
    "KeyMissing",
    "KeyRollback",
    "KeyUnavailable",
    "KeyringError",
    "NotPrepared",
    "PrincipalMissing",
    "SchemaError",
    "Settings",
    "StatementRefused",
    "ValueRefused",
    "VaultDBError",
    "VaultDenied",
    "VaultError",
    "VaultRejected",
    "VaultUnavailable",
    "VaultUntrusted",
    "access",
    "acting_as",
    "bulk_decrypt",
    "columns",
    "copy_in",
    "create_async_engine",
    "create_engine",
    "encrypted",
    "install",
    "plaintext_reads",
]

_HOMES = {
    "Acting": "vaultdb.guard.principal",
    "DecryptedBatch": "vaultdb.orm.bulk",
    "Encrypted": "vaultdb.orm.types",
    "Equality": "vaultdb.orm.indexes",
    "Grant": "vaultdb.roles.grant",
    "Settings": "vaultdb.settings",
    "access": "vaultdb.roles.access",
    "acting_as": "vaultdb.guard.principal",
    "bulk_decrypt": "vaultdb.orm.bulk",
    "columns": "vaultdb.orm.text_columns",
    "copy_in": "vaultdb.orm.bulk",
    "create_async_engine": "vaultdb.engine",
    "create_engine": "vaultdb.engine",
    "encrypted": "vaultdb.orm.columns",
    "install": "vaultdb.engine",
    "plaintext_reads": "vaultdb.engine",
}
_ERRORS = "vaultdb.errors"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, _ERRORS)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
