"""The folder of key-table backups: written whole or not at all, chained, and kept for a while."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from vaultdb.errors import ConfigurationError
from vaultdb.jobs.keybackup.file import KeyBackup, Previous, decode, encode, read_bytes

MODE = 0o600
"""Of a file: what it holds is wrapped, and still nobody else's business."""


@dataclass(frozen=True, slots=True)
class Written:
    """A backup that was written."""

    path: Path
    sha256: str
    keys: int
    tombstones: int
    removed: tuple[Path, ...] = ()
    """Older backups whose time was over."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup that lies in the folder."""

    path: Path
    taken_at: datetime


class BackupFolder:
    """The backups of one realm in one folder.

    Args:
        path: of the folder; it must exist, so that an unmounted volume is noticed.
        realm: whose backups; those of others are left alone.

    """

    def __init__(self, path: Path, realm: UUID) -> None:
        self.path = path
        self._prefix = f"keys-{realm}-"

    def files(self) -> list[Kept]:
        """Return the backups in the folder, oldest first, by the times in their names.

        Raises:
            ConfigurationError: the folder cannot be read.

        """
        try:
            paths = list(self.path.iterdir())
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the folder {self.path}: {error.strerror}; correct"
                " keyring.backup_folder (VAULTDB_KEY_BACKUP_FOLDER)"
            ) from None
        found = [Kept(path, taken) for path in paths if (taken := self._taken_at(path))]
        return sorted(found, key=lambda kept: kept.taken_at)

    def add(self, backup: KeyBackup, *, days: int) -> Written:
        """Write a backup, chained to the newest one there, and remove those that are too old.

        Args:
            backup: of the folder's realm.
            days: that a backup is kept; the newest is never removed.

        Raises:
            ConfigurationError: the folder cannot be written to.

        """
        there = self.files()
        if there:
            newest = there[-1].path
            digest = hashlib.sha256(read_bytes(newest)).hexdigest()
            backup = replace(backup, previous=Previous(newest.name, digest))
        data = encode(backup)
        path = self.path / f"{self._prefix}{_stamp(backup.taken_at)}.jsonl"
        write_whole(path, data)
        horizon = backup.taken_at - timedelta(days=days)
        removed = tuple(kept.path for kept in there if kept.taken_at < horizon)
        for each in removed:
            each.unlink(missing_ok=True)
        digest = hashlib.sha256(data).hexdigest()
        return Written(path, digest, len(backup.rows), len(backup.tombstones), removed)

    def backups(self) -> Iterator[tuple[Kept, KeyBackup | None]]:
        """Yield each backup with what it says, None for one that is damaged; oldest first."""
        for kept in self.files():
            try:
                yield kept, decode(read_bytes(kept.path), str(kept.path))
            except ConfigurationError:
                yield kept, None

    def _taken_at(self, path: Path) -> datetime | None:
        if not path.name.startswith(self._prefix) or path.suffix != ".jsonl":
            return None
        with contextlib.suppress(ValueError):
            stamp = path.name.removeprefix(self._prefix).removesuffix(".jsonl")
            return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
        return None


_STAMP = "%Y%m%dT%H%M%S.%fZ"


def _stamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime(_STAMP)


def write_whole(path: Path, data: bytes) -> None:
    """Write a new file of mode 0600 that is there as a whole, also after a crash, or not at all.

    Raises:
        ConfigurationError: it exists, or cannot be written.

    """
    part = path.with_name(f"{path.name}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, MODE)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, MODE)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if path.exists():
            raise FileExistsError(17, "it exists already")
        part.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def _sync_folder(path: Path) -> None:
    """Make the new name itself survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
