"""A keyring without a server, and the engine that goes with it."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.pool import StaticPool

from vaultdb.db.migrations import upgrade
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
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in {None, "", ":memory:"}:
            return create_engine(
                parsed, poolclass=StaticPool, connect_args={"check_same_thread": False}
            )
        return create_engine(parsed)
    engine = create_engine(normalise_url(url))
    upgrade(engine, realm=MEMORY_REALM)
    return engine
