"""The names of the KEKs that tenants have for themselves, and who is under which.

A name comes from the configuration and the scope, never from a row of the key table: whoever can
write there must not choose the key that a DEK is unwrapped with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import sha256
from typing import Generic, TypeVar
from uuid import UUID

from vaultdb.crypto.encoding import canon
from vaultdb.keys.wrapped_key import KeyScope

P = TypeVar("P")

NAME_BYTES = 16
"""Bytes of SHA-256 in a name: 2^64 work for two tenants with one KEK. Never changes."""
REMEMBERED = 10_000
"""Tenants whose providers are kept, at most: one that is made again costs one call to Vault."""


def tenant_kek(kek: str, realm: UUID, tenant: str) -> str:
    """Return the name of a tenant's KEK: fit for any mount, and the same for ever.

    Args:
        kek: the name of the realm's KEK.
        realm: the installation.
        tenant: the tenant's name, of any form; it is not readable from the result.

    """
    digest = sha256(canon(realm.bytes, tenant.encode())).digest()
    return f"{tenant_prefix(kek)}{digest[:NAME_BYTES].hex()}"


def tenant_prefix(kek: str) -> str:
    """Return what the names of all tenants' KEKs begin with, and no other key of the mount does."""
    return f"{kek}-tenant-"


class TenantProviders(Generic[P]):
    """One provider for each tenant with a KEK of its own, made when it is first asked for.

    Args:
        keysets: the names of the keysets with `kek = "tenant"`.
        make: makes the provider of a tenant; may run twice for one tenant, in two threads.

    """

    def __init__(self, keysets: Collection[str], make: Callable[[str], P]) -> None:
        self.keysets = frozenset(keysets)
        self._make = make
        self._made: dict[str, P] = {}

    def of(self, scope: KeyScope) -> P | None:
        """Return the provider of a scope's tenant, None when its keyset is under the realm's."""
        if scope.keyset not in self.keysets:
            return None
        found = self._made.get(scope.tenant)
        if found is None:
            if len(self._made) >= REMEMBERED:
                self._made.clear()
            found = self._made.setdefault(scope.tenant, self._make(scope.tenant))
        return found
