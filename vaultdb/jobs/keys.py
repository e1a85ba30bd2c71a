"""Create data keys by hand, and tell how they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypedDict
from uuid import UUID

from vaultdb.errors import ConfigurationError
from vaultdb.keys.creation import create_key, next_version
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.store import KeyStore
from vaultdb.keys.wrapped_key import KeyScope, KeyState, WrappedKey


class ScopeSummary(TypedDict):
    """The keys of one tenant, keyset and purpose."""

    tenant: str
    keyset: str
    purpose: str
    active: int | None
    """The highest version when it may encrypt, else None."""
    versions: int
    oldest_kek: int
    stale: int


def create(
    provider: KeyProvider, store: KeyStore, realm: UUID, scope: KeyScope, *, new_version: bool
) -> tuple[WrappedKey, bool]:
    """Create the key of a scope unless it has one; return the newest and whether it is new.

    Args:
        provider: of a role that may make data keys.
        store: the key table, by a login that may add to it.
        realm: the realm of the settings.
        scope: tenant, keyset and purpose.
        new_version: create the next version although there is one.

    Raises:
        ConfigurationError: the keyset has no name.

    """
    if not scope.keyset:
        raise ConfigurationError("--keyset is empty: name the keyset as the columns do")
    rows = store.by_scopes(realm, [scope])
    if rows and not new_version:
        return max(rows, key=lambda row: row.version), False
    return create_key(provider, store, realm, scope, next_version(rows)), True


def summarise(keys: Sequence[WrappedKey], kek_version: int) -> list[ScopeSummary]:
    """Summarise keys by scope, in order.

    Args:
        keys: all keys of the realm.
        kek_version: the newest version of the KEK.

    """
    by_scope: defaultdict[KeyScope, list[WrappedKey]] = defaultdict(list)
    for key in keys:
        if key.state is not KeyState.DESTROYED:
            by_scope[key.scope].append(key)
    summaries: list[ScopeSummary] = []
    for scope, rows in by_scope.items():
        newest = max(rows, key=lambda row: row.version)
        summaries.append(
            {
                "tenant": scope.tenant,
                "keyset": scope.keyset,
                "purpose": scope.purpose.value,
                "active": newest.version if newest.state is KeyState.ACTIVE else None,
                "versions": len(rows),
                "oldest_kek": min(row.kek_version for row in rows),
                "stale": sum(row.kek_version < kek_version for row in rows),
            }
        )
    return summaries
