"""Write a backup of the key table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vaultdb.db.key_rows import KeyRow, read_rows
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.keybackup.file import KeyBackup
from vaultdb.jobs.keybackup.folder import BackupFolder, Written
from vaultdb.jobs.keybackup.kek_names import kek_name

if TYPE_CHECKING:
    from vaultdb.db.keystore import PostgresKeyStore
    from vaultdb.settings import Settings


def back_up(store: PostgresKeyStore, settings: Settings, folder: Path | None = None) -> Written:
    """Write every row of the key table, tombstones included, into a new file of a folder.

    Args:
        store: by any login that may read the key table.
        settings: of the same login.
        folder: instead of that of the settings.

    Raises:
        ConfigurationError: there is no folder, or it cannot be written to.
        SchemaError: the database is not migrated or belongs to another realm.
        KeyUnavailable: the database cannot be reached.

    """
    folder = folder or settings.keyring.backup_folder
    if folder is None:
        raise ConfigurationError(
            "there is no folder for backups of the key table: say --to FOLDER, or set"
            " keyring.backup_folder (VAULTDB_KEY_BACKUP_FOLDER)"
        )
    with store.connection(settings.realm, "read the key table") as connection:
        taken_at, rows = read_rows(connection, settings.realm)
    backup = KeyBackup(settings.realm, taken_at, rows, kek_versions(rows, settings))
    return BackupFolder(folder, settings.realm).add(backup, days=settings.keyring.backup_days)


def back_up_if_wanted(store: PostgresKeyStore, settings: Settings) -> Written | None:
    """Write a backup when the settings name a folder; call it after every change of the key table.

    Raises:
        As `back_up`.

    """
    return back_up(store, settings) if settings.keyring.backup_folder is not None else None


def kek_versions(rows: Sequence[KeyRow], settings: Settings) -> dict[str, tuple[int, int]]:
    """Return by the name of the KEK the oldest and the newest version that wrap these keys."""
    found: dict[str, tuple[int, int]] = {}
    for name, version in _wrappings(rows, settings):
        low, high = found.get(name, (version, version))
        found[name] = (min(low, version), max(high, version))
    return found


def _wrappings(rows: Iterable[KeyRow], settings: Settings) -> Iterable[tuple[str, int]]:
    for row in rows:
        if not row.is_tombstone:
            yield kek_name(row.scope, settings), row.kek_version
