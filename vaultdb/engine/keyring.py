"""The keyring of an engine's settings, opened at first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import cache
from uuid import UUID

from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.login.credentials import Credentials
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.listener import KeyListener
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.settings import Settings
from vaultdb.vault.factory import new_keyring
from vaultdb.vault.providers.memory import MemoryProvider


def keyring_for(
    settings: Settings,
    credentials: Credentials | None = None,
    listener: KeyListener | None = None,
) -> Callable[[], AbstractContextManager[Keyring]]:
    """Return a function that opens the keyring of these settings, and closes it afterwards.

    Args:
        settings: of the role that uses the keys.
        credentials: share these with an engine, which closes them.
        listener: hears what the keyring does with data keys.

    """
    if settings.keys == "memory":
        return lambda: _memory(settings.realm, settings.tenant_keysets, listener)
    return lambda: _configured(settings, credentials, listener)


@contextmanager
def _configured(
    settings: Settings, shared: Credentials | None, listener: KeyListener | None
) -> Iterator[Keyring]:
    with ExitStack() as opened:
        credentials = shared or opened.enter_context(closing(Credentials(settings)))
        store = PostgresKeyStore(settings, credentials=credentials)
        opened.enter_context(closing(store))
        keyring = new_keyring(settings, store, lambda: credentials.client, listener)
        yield opened.enter_context(closing(keyring))


@contextmanager
def _memory(
    realm: UUID, tenant_keysets: frozenset[str], listener: KeyListener | None
) -> Iterator[Keyring]:
    # Nobody could create keys beforehand, so they are made when they are first needed.
    provider, store = _in_this_process(realm, tenant_keysets)
    yield Keyring(realm=realm, provider=provider, store=store, create_keys=True, listener=listener)


@cache
def _in_this_process(
    _realm: UUID, tenant_keysets: frozenset[str]
) -> tuple[MemoryProvider, MemoryKeyStore]:
    """Stand in for the server that a process's engines would share."""
    return MemoryProvider(tenant_keysets), MemoryKeyStore()
