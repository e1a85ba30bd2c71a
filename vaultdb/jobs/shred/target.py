"""What is to be destroyed, and what that makes unreadable: the plan that is shown first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vaultdb.db.manifests import Manifest, naming
from vaultdb.db.places import Place, existing_places
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.keybackup.folder import BackupFolder
from vaultdb.jobs.rotation.usage import usage
from vaultdb.jobs.shred.index_values import IndexTable, Match, index_tables
from vaultdb.keys.wrapped_key import KeyState, Purpose, WrappedKey
from vaultdb.orm.attachment import encrypted_columns

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from vaultdb.db.keystore import PostgresKeyStore
    from vaultdb.settings import Settings


@dataclass(frozen=True, slots=True)
class OldBackup:
    """A backup of the key table that still has a key alive that is to be destroyed."""

    name: str
    until: datetime
    """When its time is over; the first backup after that removes it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A tenant, or a data subject of one."""

    tenant: str
    subject: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """The keys to destroy, and where they are needed.

    Args:
        tenant: whose.
        subject: the data subject, None for the whole tenant.
        keys: with those that were destroyed before.
        values: rows that become unreadable, by column.
        uncounted: columns that could not be counted, each with the reason.
        index_tables: where index values may have to be removed.
        in_the_clear: columns that encrypted ones replace and that are still there.
        manifests: recorded backups of the database that need one of the keys.
        old_backups: backups of the key table in which one of the keys is alive.

    """

    tenant: str
    subject: str | None
    keys: Sequence[WrappedKey] = field(repr=False)
    values: Mapping[str, int]
    uncounted: Mapping[str, str]
    index_tables: Sequence[IndexTable]
    in_the_clear: Sequence[str]
    manifests: Sequence[Manifest]
    old_backups: Sequence[OldBackup]

    @property
    def living(self) -> frozenset[bytes]:
        """The ids of the keys that are not destroyed yet."""
        return frozenset(key.key_id for key in self.keys if key.state is not KeyState.DESTROYED)

    @property
    def match(self) -> Match:
        """Which index values belong to it."""
        if self.subject is None:
            ids = [key.key_id for key in self.keys if key.scope.purpose is Purpose.INDEX]
            return Match(index_key_ids=ids)
        return Match(key_ids=[key.key_id for key in self.keys])

    def of_keysets(self, names: frozenset[str], *, other: bool = False) -> list[WrappedKey]:
        """Return the keys of these keysets, or those of all others."""
        return [key for key in self.keys if (key.scope.keyset in names) is not other]


def find(
    store: PostgresKeyStore,
    settings: Settings,
    metadatas: Sequence[MetaData],
    *,
    tenant: str,
    subject: str | None = None,
) -> Target:
    """Look what would be destroyed; nothing is changed.

    Args:
        store: the key table by the shredder's login, which reads the rotator's columns.
        settings: of the shredder.
        metadatas: the models: they say which columns are indexes of which.
        tenant: whose values.
        subject: the data subject; None for the whole tenant.

    Raises:
        ConfigurationError: there are no models.

    """
    if not metadatas:
        raise ConfigurationError(
            "without models nobody knows which columns are blind indexes; say --model MODULE:NAME,"
            " or set models in vaultdb.toml"
        )
    keys = own_keys(store, settings, Owner(tenant, subject))
    with store.connection(settings.realm, "look for the values") as connection:
        counted = usage(connection, metadatas, keys)
        ids = frozenset(key.key_id for key in keys)
        return Target(
            tenant=tenant,
            subject=subject,
            keys=keys,
            values={
                str(each.column.place): sum(each.rows.values())
                for each in counted.columns
                if each.column.purpose is Purpose.DATA and each.rows
            },
            uncounted={
                str(each.column.place): each.column.problem
                for each in counted.columns
                if each.column.problem is not None
            },
            index_tables=index_tables(connection, metadatas),
            in_the_clear=_in_the_clear(connection, metadatas),
            manifests=naming(connection, ids),
            old_backups=_old_backups(settings, ids),
        )


def own_keys(
    store: PostgresKeyStore, settings: Settings, whose: Owner | Target
) -> list[WrappedKey]:
    """Return the keys of a tenant or a data subject as they are now, destroyed ones included."""
    return [
        key
        for key in store.all(settings.realm)
        if key.scope.tenant == whose.tenant and whose.subject in {None, key.scope.subject}
    ]


def _in_the_clear(connection: Connection, metadatas: Sequence[MetaData]) -> list[str]:
    replaced = []
    for table in (table for metadata in metadatas for table in metadata.tables.values()):
        for column in encrypted_columns(table):
            type_: Any = column.type
            if type_.options.adopts is not None:
                replaced.append(Place(table.schema or "", table.name, type_.options.adopts))
    return sorted(map(str, existing_places(connection, replaced)))


def _old_backups(settings: Settings, ids: frozenset[bytes]) -> list[OldBackup]:
    folder = settings.keyring.backup_folder
    if folder is None:
        return []
    days = timedelta(days=settings.keyring.backup_days)
    found = []
    for kept, backup in BackupFolder(folder, settings.realm).backups():
        # One that is damaged may have the key all the same.
        if backup is None or ids & {row.key_id for row in backup.rows if not row.is_tombstone}:
            found.append(OldBackup(kept.path.name, kept.taken_at + days))
    return found
