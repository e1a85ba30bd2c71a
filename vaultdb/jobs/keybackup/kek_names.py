"""Which KEK wraps the keys of a scope, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaultdb.keys.wrapped_key import KeyScope
    from vaultdb.settings import Settings


def kek_name(scope: KeyScope, settings: Settings) -> str:
    """Return the name of the KEK of a scope: the realm's, or the tenant's own."""
    del scope
    return settings.vault.kek if settings.keys == "vault" else settings.keys
