"""A migrated database on private servers over TLS, for the benchmarks that need one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine, QueuePool
from sqlalchemy.orm import DeclarativeBase

import vaultdb
from vaultdb.alembic.own import upgrade
from vaultdb.db.connect import new_engine
from vaultdb.dev.temporary import temporary_stack
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.settings import Settings
from vaultdb.vault.providers.memory import MemoryProvider


class Base(DeclarativeBase):
    """The tables of the benchmarks."""


@dataclass(frozen=True)
class BenchDatabase:
    """One database, and two engines of the same login: one prepared, one plain."""

    encrypting: Engine
    plain: Engine


@contextlib.contextmanager
def bench_database() -> Iterator[BenchDatabase]:
    """Start servers, create the tables of `Base`, and take everything away at the end.

    The keys are in memory: warm keys make no call to Vault, and cold ones are not timed here.
    """
    with temporary_stack() as stack:
        migrator = Settings.load(file=stack.folder.settings, role="migrator")
        upgrade(new_engine(migrator.database), realm=migrator.realm)
        plain = new_engine(migrator.database, poolclass=QueuePool)
        Base.metadata.create_all(plain)
        keyring = Keyring(
            realm=migrator.realm,
            provider=MemoryProvider(),
            store=MemoryKeyStore(),
            create_keys=True,
        )
        encrypting = vaultdb.create_engine(settings=migrator, role="migrator", keyring=keyring)
        try:
            yield BenchDatabase(encrypting, plain)
        finally:
            encrypting.dispose()
            plain.dispose()
            keyring.close()
