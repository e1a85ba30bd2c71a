"""Bring keys back from a backup of the key table.

The officer adds keys, as it always does; the rotator restricts what the file, or another backup,
knows as restricted, and does it first: when the run is killed in the middle nothing is there that
should be gone. Run it again to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, bindparam, update

from vaultdb.db.key_rows import insert_rows, read_rows
from vaultdb.db.key_states import KeyStates
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.schema import data_key_table as table
from vaultdb.errors import ConfigurationError, SchemaError
from vaultdb.jobs.keybackup.file import KeyBackup, read
from vaultdb.jobs.keybackup.folder import BackupFolder
from vaultdb.jobs.keybackup.overlay import Overlay, overlay

OpenStore = Callable[[], AbstractContextManager[PostgresKeyStore]]
"""Opens the key table by the rotator's login; called only when the rotator is needed."""


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore that was planned and not yet done."""

    backup: KeyBackup = field(repr=False)
    overlay: Overlay


def plan(path: Path, store: PostgresKeyStore, realm: UUID, folders: Iterable[Path] = ()) -> Restore:
    """Read a backup and compare it with the key table.

    Args:
        path: of the backup.
        store: the key table, by a login that may read it.
        realm: the realm of the settings.
        folders: with more backups, which may know keys that were destroyed since.

    Raises:
        ConfigurationError: the file cannot be used, or belongs to another realm.
        SchemaError: the database is not migrated or belongs to another realm.

    """
    backup = read(path)
    if backup.realm != realm:
        raise ConfigurationError(
            f"{path} belongs to realm {backup.realm}, the settings say {realm}; its keys would"
            " open nothing here"
        )
    destroyed = _destroyed(realm, {path.parent.resolve(), *(each.resolve() for each in folders)})
    with store.connection(realm, "read the key table") as connection:
        _, rows = read_rows(connection, realm)
    return Restore(backup, overlay(backup.rows, rows, destroyed))


def run(agreed: Restore, officer: PostgresKeyStore, open_rotator: OpenStore) -> int:
    """Carry out a plan; return how many keys were added.

    Args:
        agreed: from `plan`.
        officer: the key table, by the officer's login.
        open_rotator: opens it by the rotator's login.

    Raises:
        ConfigurationError: a login lacks a privilege.
        SchemaError: somebody added keys meanwhile.
        KeyUnavailable: the database cannot be reached.

    """
    realm, what = agreed.backup.realm, agreed.overlay
    if what.needs_rotator:
        with open_rotator() as rotator, rotator.connection(realm, "restrict data keys") as changing:
            states = KeyStates(changing, realm)
            for state, key_ids in what.restrict.items():
                states.restrict(key_ids, state)
            _rewrap(changing, what)
    with officer.connection(realm, "add data keys") as connection:
        added = insert_rows(connection, what.insert)
        if len(added) != len(what.insert):
            raise SchemaError(
                "somebody added data keys while they were restored, so nothing was added; run"
                " vaultdb keys restore again"
            )
    return len(added)


_REWRAP = (
    update(table)
    .where(table.c.key_id == bindparam("id"), table.c.wrapped == bindparam("before"))
    .values(
        wrapped=bindparam("after"),
        wrapped_prev=bindparam("previous"),
        kek_version=bindparam("newer"),
        rewrapped_at=bindparam("at"),
    )
)


def _rewrap(connection: Connection, what: Overlay) -> None:
    values = [
        {
            "id": live.key_id,
            "before": live.wrapped,
            "after": row.wrapped,
            # Nobody has opened the file's wrapping here yet: that of the table is kept beside it.
            "previous": live.wrapped_prev or live.wrapped,
            "newer": row.kek_version,
            "at": row.rewrapped_at,
        }
        for live, row in what.rewrap
    ]
    if values:
        connection.execute(_REWRAP, values)


def _destroyed(realm: UUID, folders: Iterable[Path]) -> frozenset[bytes]:
    """Return the ids of keys that any backup in these folders knows as destroyed."""
    found: set[bytes] = set()
    for folder in folders:
        for _, backup in BackupFolder(folder, realm).backups():
            found |= backup.tombstones if backup is not None else set()
    return frozenset(found)
