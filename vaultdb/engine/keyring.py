"""The keyring of an engine's settings, opened at first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from uuid import UUID

from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.settings import Settings
from vaultdb.vault.factory import new_keyring
from vaultdb.vault.providers.memory import MemoryProvider


def keyring_for(settings: Settings) -> Callable[[], AbstractContextManager[Keyring]]:
    """Return a function that opens the keyring of these settings, and closes it afterwards."""
    if settings.keys == "memory":
        return lambda: _memory(settings.realm)
    return lambda: _configured(settings)


@contextmanager
def _configured(settings: Settings) -> Iterator[Keyring]:
    store = PostgresKeyStore(settings.database)
    try:
        keyring = new_keyring(settings, store)
        try:
            yield keyring
        finally:
            keyring.close()
    finally:
        store.close()


@contextmanager
def _memory(realm: UUID) -> Iterator[Keyring]:
    # Nobody could create keys beforehand, so they are made when they are first needed.
    provider, store = _in_this_process(realm)
    yield Keyring(realm=realm, provider=provider, store=store, create_keys=True)


@cache
def _in_this_process(_realm: UUID) -> tuple[MemoryProvider, MemoryKeyStore]:
    """Stand in for the server that a process's engines would share."""
    return MemoryProvider(), MemoryKeyStore()
