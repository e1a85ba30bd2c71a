"""A pytest plugin for applications that use vaultdb; it loads itself when vaultdb is installed.

Fixtures, none of which needs Vault except the last:

``vaultdb_keyring``
    a keyring in memory; it makes the keys that it is asked for.
``vaultdb_install``
    ``install(engine)`` for an engine of yours, sync or async, with that keyring.
``vaultdb_url``
    where ``vaultdb_engine`` connects to: SQLite in memory. Override it to use PostgreSQL.
``vaultdb_engine``
    a prepared engine on that URL, disposed of after the test.
``vaultdb_dev_stack``
    a private OpenBao and a private PostgreSQL, stopped and removed after the last test.

`assert_encrypted` checks what the database really holds.

Nothing of vaultdb's is imported before a test asks for a fixture: a run that does not use them
pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vaultdb.testing.fixtures import (
    vaultdb_dev_stack,
    vaultdb_engine,
    vaultdb_install,
    vaultdb_keyring,
    vaultdb_url,
)

if TYPE_CHECKING:
    from vaultdb.testing.assertions import assert_encrypted
    from vaultdb.testing.memory import memory_keyring

__all__ = [
    "assert_encrypted",
    "memory_keyring",
    "vaultdb_dev_stack",
    "vaultdb_engine",
    "vaultdb_install",
    "vaultdb_keyring",
    "vaultdb_url",
]


def __getattr__(name: str) -> Any:
    """Import the helpers when they are first used, not when pytest loads the plugin."""
    if name == "assert_encrypted":
        from vaultdb.testing.assertions import assert_encrypted  # noqa: PLC0415

        return assert_encrypted
    if name == "memory_keyring":
        from vaultdb.testing.memory import memory_keyring  # noqa: PLC0415

        return memory_keyring
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
