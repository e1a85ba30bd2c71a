"""Which backups exist, and which data keys each of them needs to be read.

A key that a backup needs is not retired before the backup has expired or was released. What is
recorded here says nothing about the backup's content: ids of keys, times, and a name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from vaultdb.db.schema import backup_manifest_table as table
from vaultdb.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup needs.

    Args:
        name: of the backup, unique in the database for ever.
        taken_at: when the backup was taken, or was begun.
        expires_at: when its last copy will be gone; None when nobody knows.
        key_ids: of the data keys that its rows are encrypted with, 16 bytes each.
        kek_versions: by the name of the KEK, the oldest and the newest version that wrap them.
        released_at: when somebody said that the backup is gone.

    """

    name: str
    taken_at: datetime
    expires_at: datetime | None
    key_ids: frozenset[bytes]
    kek_versions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    released_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether the backup may still exist."""
        return self.released_at is None and (self.expires_at is None or self.expires_at > now)


def record(connection: Connection, manifest: Manifest) -> bool:
    """Record a manifest in the transaction of `connection`; say whether it was new.

    Args:
        connection: of a login with the rotator capability.
        manifest: the same one may be recorded again, which changes nothing.

    Raises:
        ConfigurationError: another one has its name.

    """
    values = {
        "name": manifest.name,
        "taken_at": manifest.taken_at,
        "expires_at": manifest.expires_at,
        "key_ids": sorted(manifest.key_ids),
        "kek_versions": {name: list(versions) for name, versions in manifest.kek_versions.items()},
    }
    statement = insert(table).values(values).on_conflict_do_nothing().returning(table.c.name)
    if connection.scalar(statement) is not None:
        return True
    (there,) = manifests(connection, table.c.name == manifest.name)
    if (there.taken_at, there.key_ids) != (manifest.taken_at, manifest.key_ids):
        raise ConfigurationError(
            f"there is another manifest named {manifest.name!r}, taken at {there.taken_at}; give"
            " each backup a name of its own"
        )
    return False


def release(connection: Connection, name: str) -> bool:
    """Record that a backup is gone: it needs no key any more. Say whether it was known till now.

    Args:
        connection: of a login with the rotator capability.
        name: of the backup.

    """
    statement = (
        update(table)
        .where(table.c.name == name, table.c.released_at.is_(None))
        .values(released_at=func.now())
    )
    return connection.execute(statement).rowcount == 1


def manifests(connection: Connection, *conditions: ColumnElement[bool]) -> list[Manifest]:
    """Return the manifests of the database, oldest backup first."""
    statement = select(table).where(*conditions).order_by(table.c.taken_at, table.c.name)
    return [_manifest(row) for row in connection.execute(statement)]


def holding(connection: Connection) -> list[Manifest]:
    """Return the manifests of backups that may still exist, by the server's clock."""
    unexpired = or_(table.c.expires_at.is_(None), table.c.expires_at > func.now())
    return manifests(connection, table.c.released_at.is_(None), unexpired)


def needed_key_ids(connection: Connection) -> dict[bytes, list[str]]:
    """Return the ids of keys that a backup still needs, each with the names of those backups.

    Args:
        connection: of a login with the rotator capability.

    """
    needed: defaultdict[bytes, list[str]] = defaultdict(list)
    for manifest in holding(connection):
        for key_id in manifest.key_ids:
            needed[key_id].append(manifest.name)
    return dict(needed)


def naming(connection: Connection, key_ids: Collection[bytes]) -> list[Manifest]:
    """Return the manifests of backups that may still exist and need one of these keys."""
    wanted = frozenset(key_ids)
    return [manifest for manifest in holding(connection) if manifest.key_ids & wanted]


def _manifest(row: Row[Any]) -> Manifest:
    return Manifest(
        name=row.name,
        taken_at=row.taken_at,
        expires_at=row.expires_at,
        key_ids=frozenset(map(bytes, row.key_ids)),
        kek_versions={name: (low, high) for name, (low, high) in row.kek_versions.items()},
        released_at=row.released_at,
    )
