"""Open what a command needs and close it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vaultdb.db.connect import new_engine
from vaultdb.db.failures import plain_failures
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.rewraps import RewrapTable
from vaultdb.engine.keyring import keyring_for
from vaultdb.errors import ConfigurationError
from vaultdb.vault.factory import new_provider

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vaultdb.keys.keyring import Keyring
    from vaultdb.keys.provider import KeyProvider
    from vaultdb.settings import Settings


def provider_of(settings: Settings) -> KeyProvider:
    """Return the key provider of the settings; close it.

    Raises:
        ConfigurationError: the keys live in memory, so a command cannot reach them.

    """
    _refuse_memory(settings)
    return new_provider(settings)


@contextmanager
def open_provider(settings: Settings) -> Iterator[KeyProvider]:
    """Give the key provider of the settings and close it afterwards."""
    provider = provider_of(settings)
    try:
        yield provider
    finally:
        provider.close()


@contextmanager
def open_connection(
    settings: Settings, doing: str, *, searches_models: bool = True
) -> Iterator[Connection]:
    """Give a connection by the settings' login; what Vault lent for it is given back.

    Args:
        settings: of the role that logs in.
        doing: what a failure's text says could not be done, such as "read the value".
        searches_models: whether statements name tables without their schema; an administrator's
            must not: the session searches PostgreSQL's own catalogue only, from its beginning.

    """
    engine = new_engine(settings, searches_models=searches_models)
    try:
        with plain_failures(doing, unavailable=ConfigurationError), engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def key_store(settings: Settings) -> Iterator[PostgresKeyStore]:
    """Give the key table by the settings' database login."""
    store = PostgresKeyStore(settings, answer_timeout=None)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def open_keyring(settings: Settings) -> Iterator[Keyring]:
    """Give a keyring of the settings over their key table."""
    _refuse_memory(settings)
    with keyring_for(settings)() as keyring:
        yield keyring


def key_table(store: PostgresKeyStore, settings: Settings) -> RewrapTable:
    """Return the key table as the rotator uses it."""
    return RewrapTable(store, settings.realm)


def _refuse_memory(settings: Settings) -> None:
    if settings.keys == "memory":
        raise ConfigurationError(
            'keys = "memory" live in the process that made them; this command needs keys = "vault"'
            ' or "local"'
        )
