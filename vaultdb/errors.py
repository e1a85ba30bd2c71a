"""Everything that vaultdb raises.

::

    VaultDBError
    ├── ConfigurationError        a setting or a declaration cannot work; says which, and what to do
    │   └── NotPrepared           an engine that vaultdb has not prepared met an encrypted column
    ├── SchemaError               the database is not migrated, or belongs to another realm
    ├── StatementRefused          a statement that cannot work on encrypted columns
    │   └── PrincipalMissing      nobody acts, and the audit log must name who does
    ├── AuditUnavailable          the audit log cannot be written, so nothing is read or written
    ├── ValueRefused              a value that cannot be encrypted or does not fit its column
    ├── DecryptionError           a stored value does not decrypt; never says why
    ├── KeyringError
    │   ├── KeyMissing            no data key exists for this tenant, keyset and purpose
    │   ├── KeyUnavailable        the key is not cached and its provider cannot be reached
    │   ├── KeyDenied             the provider refuses to unwrap the key
    │   └── KeyRollback           the newest key is older than the configuration allows
    ├── DevStackError             a private server of the dev stack cannot be started or used
    └── VaultError
        ├── VaultUnavailable      unreachable, sealed, overloaded or too slow; may pass
        ├── VaultDenied           not permitted, also after a fresh login
        ├── VaultRejected         Vault understood the request and refused it
        └── VaultUntrusted        the server's certificate is not trusted; never retried

Messages are lower case without a full stop, tell the reader what to do next, and never contain a
value, a key or a token.
"""

from __future__ import annotations

__all__ = [
    "AuditUnavailable",
    "ConfigurationError",
    "DecryptionError",
    "DevStackError",
    "KeyDenied",
    "KeyMissing",
    "KeyRollback",
    "KeyUnavailable",
    "KeyringError",
    "NotPrepared",
    "PrincipalMissing",
    "SchemaError",
    "StatementRefused",
    "ValueRefused",
    "VaultDBError",
    "VaultDenied",
    "VaultError",
    "VaultRejected",
    "VaultUnavailable",
    "VaultUntrusted",
]


class VaultDBError(Exception):
    """The base of every error of this library; never raised itself."""


class ConfigurationError(VaultDBError):
    """A setting or a declaration cannot work; the message names it and the remedy."""


class NotPrepared(ConfigurationError):
    """An engine that vaultdb has not prepared met an encrypted column."""


class SchemaError(VaultDBError):
    """The database is not migrated, or it belongs to another realm."""


class StatementRefused(VaultDBError):
    """The statement cannot work on encrypted columns; the message names the remedy."""


class ValueRefused(VaultDBError, ValueError):
    """The value cannot be encrypted or does not fit its column; nothing was sent."""


class DecryptionError(VaultDBError):
    """A stored value does not decrypt.

    Malformed bytes, a wrong key, a wrong row and a flipped bit all look alike here.

    Args:
        reason: a code of `vaultdb.crypto.reason.Reason`, for the audit log; never part of the text.

    """

    def __init__(self, reason: str) -> None:
        super().__init__("the stored value cannot be decrypted")
        self.reason = reason


class KeyringError(VaultDBError):
    """A data key cannot be had."""


class KeyMissing(KeyringError):
    """No data key exists for this tenant, keyset and purpose."""


class KeyUnavailable(KeyringError):
    """The data key is not cached and its provider cannot be reached; a retry may succeed."""


class KeyDenied(KeyringError):
    """The provider refuses to unwrap the data key."""


class KeyRollback(KeyringError):
    """The newest data key is older than a version seen before or pinned in the configuration."""


class DevStackError(VaultDBError):
    """A private server of the dev stack cannot be started or used; says what to do."""


class VaultError(VaultDBError):
    """A call to Vault failed."""


class VaultUnavailable(VaultError):
    """Vault is unreachable, sealed, overloaded or too slow; a retry may succeed."""


class VaultDenied(VaultError):
    """Vault does not permit the call, also after a fresh login."""


class VaultRejected(VaultError):
    """Vault understood the request and refused it."""


class VaultUntrusted(VaultError):
    """The certificate of the server that answered is not trusted."""


class AuditUnavailable(VaultDBError):
    """The audit log cannot be written, so nothing is done that it should record."""


class PrincipalMissing(StatementRefused):
    """Nobody acts, and the audit log must name who does."""
