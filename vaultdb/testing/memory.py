"""A keyring without a server, and the engine that goes with it."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.pool import NullPool, StaticPool

from vaultdb.alembic.own import status, upgrade
from vaultdb.db.url import normalise_url
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.settings.model import MEMORY_REALM
from vaultdb.vault.providers.memory import MemoryProvider


def memory_keyring() -> Keyring:
    """Make a keyring that keeps wrapped keys and KEK in memory, and creates keys at first use."""
    return Keyring(
        realm=MEMORY_REALM, provider=MemoryProvider(), store=MemoryKeyStore(), create_keys=True
    )


def memory_engine(url: str) -> Engine:
    """Make an unprepared engine for tests: an in-memory SQLite is shared by all threads."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        migrate_test_database(url)
        return create_engine(normalise_url(url))
    if parsed.database in {None, "", ":memory:"}:
        return create_engine(
            parsed, poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
    return create_engine(parsed)


def migrate_test_database(url: str) -> None:
    """Bring vaultdb's schema in a PostgreSQL database for tests up, unless it is up already.

    Args:
        url: the database; its login must be allowed to create a schema if there is none yet.

    """
    engine = create_engine(normalise_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        found = status(connection)
    if found.pending:
        upgrade(engine, realm=found.realm or MEMORY_REALM, allow_superuser=True)
