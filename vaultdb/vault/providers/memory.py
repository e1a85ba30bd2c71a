"""Keys in memory: nothing to install, and nothing survives the process. For tests."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from vaultdb.crypto.limits import KEY_SIZE
from vaultdb.errors import KeyringError
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.wrapped_key import KeyScope
from vaultdb.vault.providers.wrapping import KEK_SIZE, rewrap_each, unwrap_each, wrap
from vaultdb.vault.tenant_kek import TenantProviders


class MemoryProvider:
    """A key provider whose KEK lives in this process only; behaves like Vault otherwise.

    Args:
        tenant_keysets: the keysets in which each tenant has a KEK of its own.

    """

    name = "memory"

    def __init__(self, tenant_keysets: Collection[str] = ()) -> None:
        self._keks: dict[int, bytes] = {1: os.urandom(KEK_SIZE)}
        self._tenants = TenantProviders(tenant_keysets, lambda _: MemoryProvider())

    def for_scope(self, scope: KeyScope) -> KeyProvider:
        """Return the provider of the tenant's KEK, or this one."""
        return self._tenants.of(scope) or self

    def ensure_kek(self) -> None:
        """Do nothing: a KEK in memory is there from the beginning."""

    def create(self, context: bytes) -> tuple[bytes, str, int]:
        """Make a DEK; return its 32 secret bytes, the wrapped text and the KEK's version."""
        dek = os.urandom(KEY_SIZE)
        version = self.latest_version()
        return dek, wrap(self._keks[version], version, context, dek), version

    def unwrap(self, keys: Sequence[tuple[str, bytes]]) -> list[bytes | KeyringError]:
        """Unwrap pairs of wrapped text and context."""
        return unwrap_each(self._keks, keys)

    def rewrap(self, keys: Sequence[tuple[str, bytes]]) -> list[tuple[str, int] | KeyringError]:
        """Wrap DEKs under the newest KEK."""
        return rewrap_each(self._keks, keys)

    def rotate(self) -> int:
        """Make a new version of the KEK."""
        version = self.latest_version() + 1
        self._keks[version] = os.urandom(KEK_SIZE)
        return version

    def latest_version(self) -> int:
        """Return the newest version of the KEK."""
        return max(self._keks)

    def check(self) -> None:
        """Do nothing: a KEK in memory always binds the context."""

    def close(self) -> None:
        """Keep the KEK: a keyring made later with this provider still unwraps."""

    def __repr__(self) -> str:
        return f"<MemoryProvider kek version {self.latest_version()}>"
