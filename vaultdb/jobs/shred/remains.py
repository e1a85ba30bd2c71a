"""What remains after a destruction, and until when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vaultdb.jobs.shred.certificate import Remains

if TYPE_CHECKING:
    from vaultdb.jobs.shred.target import Target
    from vaultdb.settings import Settings


def remains_of_tenant(
    target: Target, settings: Settings, now: datetime, *, snapshot_days: int | None
) -> list[Remains]:
    """Return what remains of a tenant.

    Args:
        target: what was destroyed.
        settings: of the shredder.
        now: when.
        snapshot_days: that snapshots of Vault's storage are kept; None when nobody said.

    """
    found = [_caches(settings, now)]
    if target.of_keysets(settings.tenant_keysets):
        until = None if snapshot_days is None else now + timedelta(days=snapshot_days)
        note = (
            "a Vault restored from one has the key-encryption key again; destroy them, or let them"
            " expire"
        )
        found.append(Remains("snapshots of Vault's storage", until, note))
    if target.of_keysets(settings.tenant_keysets, other=True):
        found += _copies(target, settings)
    return [*found, *_clear(target), *_storage()]


def remains_of_subject(target: Target, settings: Settings, now: datetime) -> list[Remains]:
    """Return what remains of a data subject, whose keys are wrapped by a KEK that stays."""
    found = [_caches(settings, now), *_copies(target, settings)]
    return [*found, *_clear(target), *_storage()]


def _caches(settings: Settings, now: datetime) -> Remains:
    ttl = settings.keyring.hard_ttl
    return Remains(
        "data keys in the memory of running applications",
        now + timedelta(seconds=ttl),
        f"at most keyring.hard_ttl, {ttl:g} s here; at once after keyring.flush() or a restart",
    )


def _copies(target: Target, settings: Settings) -> Iterator[Remains]:
    """Yield the copies of the key table in which a key is alive that the KEK still opens."""
    for backup in target.old_backups:
        note = (
            "the key-encryption key still opens the data keys in it; it is removed by the first"
            " backup after that time"
        )
        yield Remains(f"backup of the key table {backup.name}", backup.until, note)
    if settings.keyring.backup_folder is None:
        note = "no keyring.backup_folder is set, so vaultdb knows of none; look for them yourself"
        yield Remains("backups of the key table", None, note)
    for manifest in target.manifests:
        note = (
            "it can be read where it has the key table in it; release it with: vaultdb keys"
            " manifest release"
        )
        yield Remains(f"backup of the database {manifest.name}", manifest.expires_at, note)


def _clear(target: Target) -> Iterator[Remains]:
    note = "an encrypted column replaces it; empty it, and look: vaultdb adopt status"
    for column in target.in_the_clear:
        yield Remains(f"values in the clear in {column}", None, note)


def _storage() -> Iterator[Remains]:
    yield Remains(
        "replicas, dead rows, the write-ahead log, and backups that were not recorded",
        None,
        "they keep index values, and wrapped keys, until VACUUM, and until archives expire",
        counts=False,
    )
