"""Keys in memory over the real key table, and an application that writes under them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Engine, create_engine

import vaultdb
from tests.fixtures.postgres import Database
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.jobs.keys import create
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose, WrappedKey
from vaultdb.settings import DatabaseSettings
from vaultdb.vault.providers.memory import MemoryProvider


@dataclass
class Keys:
    """The officer's view of a database's keys, and everybody's provider."""

    database: Database
    provider: MemoryProvider = field(default_factory=MemoryProvider)
    opened: list[Keyring | Engine | PostgresKeyStore] = field(default_factory=list)

    @cached_property
    def store(self) -> PostgresKeyStore:
        """The key table; shared, because a login has few connections."""
        url = self.database.officer_url
        store = PostgresKeyStore(DatabaseSettings.model_validate({"url": url}))
        self.opened.append(store)
        return store

    def keyring(self) -> Keyring:
        """Return a keyring that has not seen any key yet, and makes missing ones."""
        keyring = Keyring(
            realm=self.database.realm,
            provider=self.provider,
            store=self.store,
            create_keys=True,
        )
        self.opened.append(keyring)
        return keyring

    def app(self, tenant: str = "", *, keyring: Keyring | None = None) -> Engine:
        """Return a prepared engine of the application's login."""
        engine = create_engine(self.database.sqlalchemy_url)
        vaultdb.install(engine, keyring=keyring or self.keyring(), tenant=tenant)
        self.opened.append(engine)
        return engine

    def new(
        self, purpose: Purpose = Purpose.DATA, *, tenant: str = "", keyset: str = "default"
    ) -> WrappedKey:
        """Make the next version of a key."""
        scope = KeyScope(tenant, keyset, purpose)
        key, _ = create(self.provider, self.store, self.database.realm, scope, new_version=True)
        return key

    def set_state(self, key_id: bytes, state: KeyState) -> None:
        with self.database.connect() as connection:
            connection.execute(
                "UPDATE vaultdb.data_key SET state = %s WHERE key_id = %s", [state.value, key_id]
            )

    def close(self) -> None:
        for each in reversed(self.opened):
            each.dispose() if isinstance(each, Engine) else each.close()
