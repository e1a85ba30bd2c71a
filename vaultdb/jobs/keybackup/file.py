"""The file of a key-table backup: JSON lines, one for each data key, tombstones included.

::

    {"format": "vaultdb key backup", "version": 1, "realm": …, "taken_at": …,
     "kek_versions": {KEK: [oldest, newest]}, "keys": n, "tombstones": n,
     "previous": {"file": name, "sha256": hex} or null}
    {"key_id": hex, "tenant": …, …, "wrapped": …}                            n times
    {"sha256": hex of every byte above}

Nothing in it is secret by itself: the keys are wrapped, as in the table. Whoever has both the file
and a login to Vault that may decrypt reads what the application reads. The hashes find damage, not
a forger: who can write the file can compute them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from vaultdb.db.key_rows import KeyRow
from vaultdb.errors import ConfigurationError
from vaultdb.keys.wrapped_key import KeyState, Purpose

FORMAT = "vaultdb key backup"
VERSION = 1
"""Of the format; a reader of every version stays for ever."""

_WRAPPED = re.compile(r"[a-z]+:v([1-9][0-9]{0,8}):[A-Za-z0-9+/=]+")
"""What providers make; whoever unwraps it looks closer."""
_NUMBERS = range(1, 2**31)
"""Versions, as the table takes them."""
_KEY_ID_SIZE = 16
_TIMES = ("created_at", "rewrapped_at", "state_changed_at")


@dataclass(frozen=True, slots=True)
class Previous:
    """The backup before this one."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class KeyBackup:
    """What a file of this format says.

    Args:
        realm: whose keys they are.
        taken_at: by the database server's clock.
        rows: every key of the realm.
        kek_versions: by the name of the KEK, the oldest and the newest version that wrap them.
        previous: the backup before this one in its folder.

    """

    realm: UUID
    taken_at: datetime
    rows: Sequence[KeyRow] = field(repr=False)
    kek_versions: Mapping[str, tuple[int, int]]
    previous: Previous | None = None

    @property
    def tombstones(self) -> frozenset[bytes]:
        """The ids of keys that were destroyed."""
        return frozenset(row.key_id for row in self.rows if row.is_tombstone)


def encode(backup: KeyBackup) -> bytes:
    """Return the bytes of the file."""
    body = b"".join(_line(each) for each in _lines(backup))
    return body + _line({"sha256": hashlib.sha256(body).hexdigest()})


def decode(data: bytes, name: str) -> KeyBackup:
    """Return what a file says.

    Args:
        data: its bytes.
        name: of the file, for the error.

    Raises:
        ConfigurationError: it is damaged, cut off, or of another format.

    """
    body, _, last = data.rstrip(b"\n").rpartition(b"\n")
    body += b"\n"
    header, *lines = [_object(line, name) for line in body.splitlines()] or [{}]
    if header.get("format") != FORMAT:
        raise ConfigurationError(f"{name} is no backup of a key table")
    if header.get("version") != VERSION:
        raise ConfigurationError(
            f"{name} has version {header.get('version')} of the format, known is {VERSION}; use a"
            " newer vaultdb"
        )
    found = hashlib.sha256(body).hexdigest()
    if _object(last, name).get("sha256") != found or len(lines) != header.get("keys"):
        raise _damaged(name)
    return _backup(header, lines, name)


def read(path: Path) -> KeyBackup:
    """Read a file.

    Raises:
        ConfigurationError: it cannot be read, is damaged, cut off, or of another format.

    """
    return decode(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        ConfigurationError: it cannot be read.

    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None


def _lines(backup: KeyBackup) -> Iterator[dict[str, Any]]:
    previous = backup.previous
    yield {
        "format": FORMAT,
        "version": VERSION,
        "realm": str(backup.realm),
        "taken_at": backup.taken_at.isoformat(),
        "kek_versions": {name: list(each) for name, each in backup.kek_versions.items()},
        "keys": len(backup.rows),
        "tombstones": len(backup.tombstones),
        "previous": previous and {"file": previous.file, "sha256": previous.sha256},
    }
    for row in backup.rows:
        yield {
            "key_id": row.key_id.hex(),
            "tenant": row.tenant,
            "keyset": row.keyset,
            "purpose": row.purpose,
            "subject": row.subject,
            "version": row.version,
            "state": row.state,
            "kek_version": row.kek_version,
            "wrapped": row.wrapped,
            "wrapped_prev": row.wrapped_prev,
            **{name: _time_text(getattr(row, name)) for name in _TIMES},
        }


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _object(line: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _damaged(name)
    return value


def _backup(header: dict[str, Any], lines: Sequence[dict[str, Any]], name: str) -> KeyBackup:
    try:
        realm = UUID(header["realm"])
        previous = header["previous"]
        return KeyBackup(
            realm=realm,
            taken_at=datetime.fromisoformat(header["taken_at"]),
            rows=[_row(line, realm) for line in lines],
            kek_versions={kek: (low, high) for kek, (low, high) in header["kek_versions"].items()},
            previous=None if previous is None else Previous(previous["file"], previous["sha256"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(name) from None


def _row(line: dict[str, Any], realm: UUID) -> KeyRow:
    texts = {name: _typed(line[name], str) for name in ("tenant", "keyset", "subject", "wrapped")}
    numbers = {name: _typed(line[name], int) for name in ("version", "kek_version")}
    created_at, rewrapped_at, state_changed_at = (_time(line[name]) for name in _TIMES)
    if created_at is None:
        raise ValueError("a key was created at some time")
    row = KeyRow(
        key_id=bytes.fromhex(line["key_id"]),
        realm=realm,
        purpose=Purpose(line["purpose"]).value,
        state=KeyState(line["state"]).value,
        wrapped_prev=None if line["wrapped_prev"] is None else _typed(line["wrapped_prev"], str),
        created_at=created_at,
        rewrapped_at=rewrapped_at,
        state_changed_at=state_changed_at,
        **texts,
        **numbers,
    )
    if not _is_possible(row):
        raise ValueError("no row of a key table")
    return row


def _is_possible(row: KeyRow) -> bool:
    """Whether a key table could have the row: a forger's hash is right, and the officer adds it."""
    if len(row.key_id) != _KEY_ID_SIZE or not (
        row.version in _NUMBERS and row.kek_version in _NUMBERS
    ):
        return False
    if "\0" in row.tenant + row.keyset + row.subject:
        return False
    if row.is_tombstone:
        return not row.wrapped and row.wrapped_prev is None
    now, before = _WRAPPED.fullmatch(row.wrapped), _WRAPPED.fullmatch(row.wrapped_prev or "x:v1:x")
    return now is not None and int(now[1]) == row.kek_version and before is not None


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(kind.__name__)
    return value


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _time_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _damaged(name: str) -> ConfigurationError:
    return ConfigurationError(f"{name} is damaged or cut off; use another backup of the key table")
