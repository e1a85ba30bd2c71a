"""Old backups: what was destroyed since does not open, and what is not stopped is shown, too.

The attacker has a dump from before, the application's login to Vault as it is now, and, where it
says so, an old copy of the key table.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy import create_engine as plain_engine

import vaultdb
from tests.fixtures.postgres import REALM, Database
from vaultdb import Encrypted
from vaultdb.errors import DecryptionError, KeyringError
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.keys.wrapped_key import KeyScope, Purpose, WrappedKey
from vaultdb.vault.providers.memory import MemoryProvider

metadata = MetaData()
patient = Table(
    "patient",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Encrypted(str, keyset="own")),
)
UNREADABLE = (KeyringError, DecryptionError)


class Past:
    """Rows of a tenant, and the key table as it was when they were written."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.vault = MemoryProvider(["own"])
        self.keys = MemoryKeyStore()
        self.subject = self._write()
        scopes = [KeyScope("acme", "own", Purpose.DATA), KeyScope("acme", "own", Purpose.DATA, "7")]
        self.key_table = self.keys.by_scopes(REALM, scopes)

    def attack(self, key_table: Sequence[WrappedKey]) -> list[str]:
        """Read the old rows with Vault as it is now."""
        store = MemoryKeyStore()
        for key in key_table:
            store.insert(key)
        engine = plain_engine(self.database.sqlalchemy_url)
        with closing(Keyring(realm=REALM, provider=self.vault, store=store)) as keyring:
            vaultdb.install(engine, keyring=keyring, tenant="acme")
            try:
                with engine.connect() as connection:
                    return list(connection.scalars(select(patient.c.name)))
            finally:
                engine.dispose()

    def shred(self) -> None:
        """Delete the tenant's KEK; that is all that old backups notice of a shredding."""
        self.vault.for_scope(KeyScope("acme", "own", Purpose.DATA))._keks.clear()

    def _write(self) -> WrappedKey:
        engine = plain_engine(self.database.sqlalchemy_url)
        with closing(
            Keyring(realm=REALM, provider=self.vault, store=self.keys, create_keys=True)
        ) as keyring:
            vaultdb.install(engine, keyring=keyring, tenant="acme")
            with engine.begin() as connection:
                connection.execute(insert(patient), {"id": 1, "name": "Ada"})
            subject = keyring.active("acme", "own", subject="7")
        engine.dispose()
        (row,) = self.keys.by_ids(REALM, [subject.key_id])
        return row


@pytest.fixture
def past(database: Database) -> Past:
    database.create_all(metadata)
    return Past(database)


def test_the_attack_works_as_long_as_nothing_was_destroyed(past: Past) -> None:
    assert past.attack(past.key_table) == ["Ada"]


def test_a_shredded_tenant_stays_unreadable_with_the_old_key_table(past: Past) -> None:
    past.shred()
    with pytest.raises(UNREADABLE):
        past.attack(past.key_table)


def test_a_dump_without_the_key_table_opens_nothing(past: Past) -> None:
    with pytest.raises(UNREADABLE):
        past.attack([])


def test_not_stopped_an_erased_subject_opens_with_a_key_table_from_before(past: Past) -> None:
    """Why the backups of the key table are apart, short-lived, and counted in the certificate."""
    provider = past.vault.for_scope(past.subject.scope)
    (dek,) = provider.unwrap([(past.subject.wrapped, past.subject.context())])
    assert isinstance(dek, bytes)


def test_not_stopped_whoever_restores_vault_from_a_snapshot_has_the_key_again(past: Past) -> None:
    provider = past.vault.for_scope(KeyScope("acme", "own", Purpose.DATA))
    snapshot = dict(provider._keks)
    past.shred()
    provider._keks.update(snapshot)
    assert past.attack(past.key_table) == ["Ada"]
