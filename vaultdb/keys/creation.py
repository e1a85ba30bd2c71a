"""Making the first DEK of a scope, or the next."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from vaultdb.crypto.derive import key_id as key_id_of
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.store import KeyStore
from vaultdb.keys.wrapped_key import KeyScope, KeyState, WrappedKey, wrapping_context


def next_version(rows: Sequence[WrappedKey], minimum: int = 1) -> int:
    """Return one more than the highest version there is, and at least the pinned minimum."""
    return max([minimum, *(row.version + 1 for row in rows)])


def create_key(
    provider: KeyProvider, store: KeyStore, realm: UUID, scope: KeyScope, version: int
) -> WrappedKey:
    """Create a DEK, store it committed, and return the row that is there now.

    The plaintext is used for the key id and dropped. When another process created the same version
    first, its row comes back and ours was never used: no value can be left under a key that nobody
    stored. Unwrap what is returned before using it.

    Args:
        provider: holds the KEK; must permit making data keys.
        store: the key table.
        realm: the installation.
        scope: tenant, keyset and purpose.
        version: from `next_version`.

    Raises:
        KeyDenied: the provider does not permit it to this role.
        KeyUnavailable: the provider cannot be reached.

    """
    dek, wrapped, kek_version = provider.create(wrapping_context(realm, scope, version))
    ours = WrappedKey(
        key_id=key_id_of(dek),
        realm=realm,
        scope=scope,
        version=version,
        state=KeyState.ACTIVE,
        kek_version=kek_version,
        wrapped=wrapped,
    )
    del dek
    return store.insert(ours)
