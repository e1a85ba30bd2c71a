"""Making the first DEK of a scope, or the next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from vaultdb.crypto.derive import key_id as key_id_of
from vaultdb.keys.news import News
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.store import KeyStore
from vaultdb.keys.wrapped_key import KeyScope, KeyState, WrappedKey, wrapping_context

CREATORS = 4
"""DEKs made at once, each by a call of its own."""


def next_version(rows: Sequence[WrappedKey], minimum: int = 1) -> int:
    """Return one more than the highest version there is, and at least the pinned minimum."""
    return max([minimum, *(row.version + 1 for row in rows)])


def create_key(
    provider: KeyProvider,
    store: KeyStore,
    realm: UUID,
    scope: KeyScope,
    version: int,
    *,
    state: KeyState = KeyState.ACTIVE,
    news: News | None = None,
) -> WrappedKey:
    """Create a DEK, store it committed, and return the row that is there now.

    The plaintext is used for the key id and dropped. When another process created the same version
    first, its row comes back and ours was never used: no value can be left under a key that nobody
    stored. Unwrap what is returned before using it.

    Args:
        provider: holds the KEK, and knows who holds those of tenants; must permit making data keys.
        store: the key table.
        realm: the installation.
        scope: tenant, keyset, purpose and data subject.
        version: from `next_version`.
        state: `INCOMING` for an index key that is only searched for at first.
        news: notes the key if it is the one that was stored.

    Raises:
        KeyDenied: the provider does not permit it to this role.
        KeyUnavailable: the provider cannot be reached.

    """
    made = _made(provider, realm, scope, version, state)
    stored = store.insert(made)
    _note(news, [made], [stored])
    return stored


def create_keys(
    provider: KeyProvider,
    store: KeyStore,
    realm: UUID,
    wanted: Sequence[tuple[KeyScope, int]],
    *,
    incoming: Collection[KeyScope] = (),
    news: News | None = None,
) -> Sequence[WrappedKey]:
    """Create the DEKs of many scopes in one transaction; else as `create_key`.

    Providers make one at a time, so that some are made at once.

    Args:
        provider: holds the KEK, and knows who holds those of tenants.
        store: the key table.
        realm: the installation.
        wanted: scopes, each with its version.
        incoming: those of them whose index keys are not written with yet.
        news: notes the keys that were stored, not those of who came first.

    Raises:
        KeyDenied, KeyUnavailable: as `create_key`; nothing is stored then.

    """
    creators = ThreadPoolExecutor(CREATORS, thread_name_prefix="vaultdb-create")
    try:
        made = creators.map(
            lambda each: _made(provider, realm, each[0], each[1], _state_of(each[0], incoming)),
            wanted,
        )
        keys = list(made)
    finally:
        creators.shutdown(cancel_futures=True)
    stored = store.insert_all(realm, keys)
    _note(news, keys, stored)
    return stored


def _note(news: News | None, made: Sequence[WrappedKey], stored: Sequence[WrappedKey]) -> None:
    if news is not None:
        own = {key.key_id for key in made}
        news.created([key for key in stored if key.key_id in own])


def _state_of(scope: KeyScope, incoming: Collection[KeyScope]) -> KeyState:
    return KeyState.INCOMING if scope in incoming else KeyState.ACTIVE


def _made(
    provider: KeyProvider, realm: UUID, scope: KeyScope, version: int, state: KeyState
) -> WrappedKey:
    context = wrapping_context(realm, scope, version)
    dek, wrapped, kek_version = provider.for_scope(scope).create(context)
    return WrappedKey(
        key_id=key_id_of(dek),
        realm=realm,
        scope=scope,
        version=version,
        state=state,
        kek_version=kek_version,
        wrapped=wrapped,
    )
