"""The file of a key-table backup comes back as it was written, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from vaultdb.db.key_rows import KeyRow
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.keybackup.file import KeyBackup, decode, encode, read
from vaultdb.jobs.keybackup.folder import BackupFolder, write_whole

REALM = UUID("6f1d2c3b-0000-4000-8000-7e57da7aba5e")
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def row(number: int = 1, state: str = "active", **changes: object) -> KeyRow:
    """Return a key of the tenant "acme"."""
    made = KeyRow(
        key_id=bytes([number]) * 16,
        realm=REALM,
        tenant="acme",
        keyset="default",
        purpose="data",
        subject="",
        version=number,
        state=state,
        kek_version=1,
        wrapped="" if state == "destroyed" else f"vault:v1:{number}",
        wrapped_prev=None,
        created_at=NOW,
        rewrapped_at=None,
        state_changed_at=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def backup(*rows: KeyRow, taken_at: datetime = NOW) -> KeyBackup:
    return KeyBackup(REALM, taken_at, rows or (row(),), {"vaultdb": (1, 1)})


def test_every_field_comes_back() -> None:
    odd = 'Ü "quoted"\n\u2028'
    rows = (
        row(1, tenant=odd, keyset=odd, subject=odd, wrapped_prev="vault:v1:old", rewrapped_at=NOW),
        row(2, "destroyed", state_changed_at=NOW + timedelta(seconds=1)),
    )
    back = decode(encode(backup(*rows)), "file")
    assert list(back.rows) == list(rows)
    assert (back.realm, back.taken_at) == (REALM, NOW)
    assert back.kek_versions == {"vaultdb": (1, 1)}
    assert back.tombstones == {bytes([2]) * 16}


def test_a_file_that_is_cut_off_or_changed_anywhere_is_refused() -> None:
    data = encode(backup(row(1), row(2)))
    lines = data.splitlines(keepends=True)
    broken = [
        *(data[:size] for size in range(0, len(data) - 1, 7)),
        b"".join(lines[:-1]),
        b"".join([lines[0], *lines[2:]]),
        data.replace(b"vault:v1:2", b"vault:v1:3"),
        data + b"{}\n",
    ]
    for each in broken:
        with pytest.raises(ConfigurationError, match=r"damaged|no backup"):
            decode(each, "file")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "1"),
        ("wrapped", None),
        ("state", "revived"),
        ("key_id", "zz"),
        ("created_at", 5),
        ("key_id", "00"),
        ("version", 0),
        ("version", 2**31),
        ("kek_version", 2),
        ("wrapped", ""),
        ("wrapped", "nonsense"),
        ("wrapped", "vault:v2:1"),
        ("wrapped_prev", "nonsense"),
        ("state", "destroyed"),
        ("tenant", "a\0b"),
    ],
)
def test_a_field_that_no_key_table_has_is_refused_although_the_hash_is_right(
    field: str, value: object
) -> None:
    header, line, _ = encode(backup()).splitlines()
    body = header + b"\n" + json.dumps({**json.loads(line), field: value}).encode() + b"\n"
    trailer = json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode()
    with pytest.raises(ConfigurationError, match="damaged"):
        decode(body + trailer + b"\n", "file")


def test_a_newer_format_and_another_kind_of_file_are_told_apart() -> None:
    newer = encode(backup()).replace(b'"version":1,"realm"', b'"version":2,"realm"')
    with pytest.raises(ConfigurationError, match="use a newer vaultdb"):
        decode(newer, "file")
    with pytest.raises(ConfigurationError, match="no backup of a key table"):
        decode(b'{"format": "else"}\n{}\n', "file")


def test_backups_of_a_folder_are_chained_private_and_removed_when_their_time_is_over(
    tmp_path: Path,
) -> None:
    folder = BackupFolder(tmp_path, REALM)
    first = folder.add(backup(taken_at=NOW - timedelta(days=40)), days=35)
    second = folder.add(backup(taken_at=NOW - timedelta(days=30)), days=35)
    assert second.removed == ()
    chained = read(second.path).previous
    assert chained is not None
    assert (chained.file, chained.sha256) == (first.path.name, first.sha256)
    third = folder.add(backup(taken_at=NOW), days=35)
    assert third.removed == (first.path,)
    assert sorted(path.name for path in tmp_path.iterdir()) == [second.path.name, third.path.name]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_the_newest_backup_and_files_of_others_are_never_removed(tmp_path: Path) -> None:
    other = BackupFolder(tmp_path, UUID(int=1)).add(backup(taken_at=NOW), days=1)
    (tmp_path / f"keys-{REALM}-yesterday.jsonl").write_text("mine")
    folder = BackupFolder(tmp_path, REALM)
    only = folder.add(backup(taken_at=NOW), days=1)
    later = folder.add(backup(taken_at=NOW + timedelta(days=400)), days=1)
    assert (only.path.exists(), later.path.exists(), other.path.exists()) == (False, True, True)
    assert (tmp_path / f"keys-{REALM}-yesterday.jsonl").exists()


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "no space left on device")

    target = tmp_path / "file"
    with monkeypatch.context() as patched, pytest.raises(ConfigurationError, match="no space"):
        patched.setattr(os, "fsync", full)
        write_whole(target, b"data")
    assert list(tmp_path.iterdir()) == []
    write_whole(target, b"first")
    with pytest.raises(ConfigurationError, match="exists"):
        write_whole(target, b"second")
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"keyring\.backup_folder"):
        BackupFolder(tmp_path / "unmounted", REALM).add(backup(), days=1)
