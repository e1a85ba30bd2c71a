"""Say what a backup of the database that is taken now will need to be read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from vaultdb.db.key_rows import read_rows
from vaultdb.db.manifests import Manifest
from vaultdb.jobs.keybackup.backup import kek_versions

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vaultdb.settings import Settings


def manifest_of_today(
    connection: Connection, settings: Settings, name: str, *, days: int | None
) -> Manifest:
    """Return the manifest of a backup that is about to be taken: it names every living key.

    Record it just before the dump begins: from then on `keys retire` leaves these keys alone.

    Args:
        connection: of a login that may read the key table.
        settings: of the same login.
        name: of the backup.
        days: that the backup is kept; None when nobody knows.

    """
    taken_at, rows = read_rows(connection, settings.realm)
    living = [row for row in rows if not row.is_tombstone]
    return Manifest(
        name=name,
        taken_at=taken_at,
        expires_at=None if days is None else taken_at + timedelta(days=days),
        key_ids=frozenset(row.key_id for row in living),
        kek_versions=kek_versions(living, settings),
    )
