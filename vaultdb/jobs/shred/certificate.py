"""The certificate of a destruction: what, when, by whom, and what remains until when.

It is a statement of this program about what it did and found, not a proof. The hash finds damage;
whoever wants more signs the file, or keeps it where nobody changes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from vaultdb.errors import ConfigurationError
from vaultdb.jobs.keybackup.folder import write_whole
from vaultdb.jobs.keybackup.manifest_file import digest

FORMAT = "vaultdb certificate of destruction"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Remains:
    """Something that can still open values, or show which were equal, for a while.

    Args:
        what: it is.
        until: when it is gone; None when vaultdb cannot know.
        note: what to do about it.
        counts: whether nothing is final before it is gone.

    """

    what: str
    until: datetime | None
    note: str
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Destruction:
    """What was destroyed.

    Args:
        realm: the installation.
        tenant: whose values.
        subject: the data subject, None when it is the whole tenant.
        at: when it was done, by the database server's clock.
        kek: the path of the deleted key in Vault, None when none was to be deleted.
        kek_state: `deleted`, `absent` when it was gone before, `kept` when others need it.
        keys_destroyed: ids of data keys that this run destroyed.
        keys_before: ids of those that were destroyed before.
        values: rows that are unreadable now, by column.
        index_rows: rows whose index values were removed, by table.
        by: logins that did it.
        final_at: from when on nothing that vaultdb knows can bring the values back; None when
            that is not known.
        remains: what is there until then.

    """

    realm: str
    tenant: str
    subject: str | None
    at: datetime
    kek: str | None
    kek_state: str
    keys_destroyed: Sequence[str]
    keys_before: Sequence[str]
    values: Mapping[str, int]
    index_rows: Mapping[str, int]
    by: Mapping[str, str]
    final_at: datetime | None
    remains: Sequence[Remains]


def final_at(remains: Sequence[Remains]) -> datetime | None:
    """Return when the last of what counts is gone; None when that is not known."""
    times = [each.until for each in remains if each.counts]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None


def body_of(done: Destruction) -> dict[str, Any]:
    """Return the certificate as a JSON object, with its own SHA-256.

    The hash is that of the object without it, with sorted keys and no white space.
    """
    body = {
        "format": FORMAT,
        "version": VERSION,
        **asdict(done),
        "at": done.at.isoformat(),
        "final_at": _iso(done.final_at),
        "keys_destroyed": list(done.keys_destroyed),
        "keys_before": list(done.keys_before),
        "values": dict(done.values),
        "index_rows": dict(done.index_rows),
        "by": dict(done.by),
        "remains": [{**asdict(each), "until": _iso(each.until)} for each in done.remains],
    }
    return {**body, "sha256": digest(body)}


def text_of(body: Mapping[str, Any]) -> str:
    """Return the certificate for people."""
    return "\n".join(_lines(body)) + "\n"


def check_folder(folder: Path) -> None:
    """Refuse a folder that a certificate could not be written to, before anything is destroyed.

    Raises:
        ConfigurationError: it is not there, or not writable.

    """
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"the certificate could not be written to {folder}; say --certificate FOLDER"
        )


def write_certificate(folder: Path, body: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write the certificate as JSON and as text; return where.

    Raises:
        ConfigurationError: it cannot be written.

    """
    stamp = f"{datetime.fromisoformat(body['at']):%Y%m%dT%H%M%S}"
    name = f"destroyed-{stamp}-{body['sha256'][:12]}"
    paths = folder / f"{name}.json", folder / f"{name}.txt"
    write_whole(paths[0], (json.dumps(body, indent=2) + "\n").encode())
    write_whole(paths[1], text_of(body).encode())
    return paths


def _lines(body: Mapping[str, Any]) -> Iterator[str]:
    whose = f"tenant {body['tenant']!r}"
    if body["subject"] is not None:
        whose = f"data subject {body['subject']!r} of {whose}"
    yield f"Certificate of destruction: {whose}"
    yield f"realm {body['realm']}"
    yield f"done at {body['at']}"
    yield from (f"by {name}: {who}" for name, who in body["by"].items() if who)
    yield ""
    if body["kek"] is not None:
        yield f"key-encryption key {body['kek']}: {body['kek_state']}"
    yield f"data keys destroyed: {len(body['keys_destroyed']):,}"
    if body["keys_before"]:
        yield f"data keys destroyed before: {len(body['keys_before']):,}"
    for column, rows in body["values"].items():
        yield f"unreadable values in {column}: {rows:,}"
    for table, rows in body["index_rows"].items():
        yield f"rows of {table} whose index values were removed: {rows:,}"
    yield ""
    final = body["final_at"]
    yield f"final at: {final}" if final else "final at: not known to vaultdb, see below"
    yield "what remains until then:"
    for each in body["remains"]:
        yield f"- {each['what']}, until {each['until'] or 'not known'}: {each['note']}"
    yield ""
    yield f"sha256 of the JSON form: {body['sha256']}"


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
