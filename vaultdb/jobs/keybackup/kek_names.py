"""Which KEK wraps the keys of a scope, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaultdb.vault.tenant_kek import tenant_kek

if TYPE_CHECKING:
    from vaultdb.keys.wrapped_key import KeyScope
    from vaultdb.settings import Settings


def kek_name(scope: KeyScope, settings: Settings) -> str:
    """Return the name of the KEK of a scope: the realm's, or the tenant's own."""
    realms = settings.vault.kek if settings.keys == "vault" else settings.keys
    if scope.keyset not in settings.tenant_keysets:
        return realms
    return tenant_kek(realms, settings.realm, scope.tenant)
