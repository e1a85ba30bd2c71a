"""A pytest plugin for applications that use vaultdb; it loads itself when vaultdb is installed.

Fixtures, none of which needs Vault except the last:

`vaultdb_keyring`
    a keyring in memory; it makes the keys that it is asked for.
`vaultdb_install`
    `install(engine)` for an engine of yours, sync or async, with that keyring.
`vaultdb_url`
    where `vaultdb_engine` connects to: SQLite in memory. Override it to use PostgreSQL.
`vaultdb_engine`
    a prepared engine on that URL, disposed of after the test.
`vaultdb_audit`
    the audit events of `vaultdb_engine`, kept in memory.
`vaultdb_dev_stack`
    a private OpenBao and a private PostgreSQL, stopped and removed after the last test.

`assert_encrypted` checks what the database really holds, `memory_keyring` makes another keyring,
and `migrate_test_database` makes a PostgreSQL database fit for tests.

Nothing of vaultdb's is imported before a test asks for a fixture: a run that does not use them
pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vaultdb.testing.fixtures import (
    vaultdb_audit,
    vaultdb_dev_stack,
    vaultdb_engine,
    vaultdb_install,
    vaultdb_keyring,
    vaultdb_url,
)

if TYPE_CHECKING:
    from vaultdb.testing.assertions import assert_encrypted
    from vaultdb.testing.auditing import RecordingAuditor
    from vaultdb.testing.memory import memory_keyring, migrate_test_database

__all__ = [
    "RecordingAuditor",
    "assert_encrypted",
    "memory_keyring",
    "migrate_test_database",
    "vaultdb_audit",
    "vaultdb_dev_stack",
    "vaultdb_engine",
    "vaultdb_install",
    "vaultdb_keyring",
    "vaultdb_url",
]


_HOME = {
    "RecordingAuditor": "auditing",
    "assert_encrypted": "assertions",
    "memory_keyring": "memory",
    "migrate_test_database": "memory",
}


def __getattr__(name: str) -> Any:
    """Import the helpers when they are first used, not when pytest loads the plugin."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
