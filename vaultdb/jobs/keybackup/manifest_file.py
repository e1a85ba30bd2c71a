"""The file that says what a backup of the database needs to be read: it lies beside the backup."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from vaultdb.db.manifests import Manifest
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.keybackup.file import read_bytes
from vaultdb.jobs.keybackup.folder import write_whole

FORMAT = "vaultdb backup manifest"
VERSION = 1


def write_manifest(path: Path, realm: UUID, manifest: Manifest) -> None:
    """Write a manifest into a new file.

    Raises:
        ConfigurationError: it exists, or cannot be written.

    """
    body = {
        "format": FORMAT,
        "version": VERSION,
        "realm": str(realm),
        "name": manifest.name,
        "taken_at": manifest.taken_at.isoformat(),
        "expires_at": manifest.expires_at and manifest.expires_at.isoformat(),
        "key_ids": [key_id.hex() for key_id in sorted(manifest.key_ids)],
        "kek_versions": {name: list(each) for name, each in manifest.kek_versions.items()},
    }
    text = json.dumps({**body, "sha256": digest(body)}, indent=2)
    write_whole(path, f"{text}\n".encode())


def read_manifest(path: Path, realm: UUID) -> Manifest:
    """Read a manifest.

    Args:
        path: of the file.
        realm: the realm of the settings.

    Raises:
        ConfigurationError: it cannot be read, is damaged, or belongs to another realm.

    """
    damaged = ConfigurationError(f"{path} is damaged, or no manifest of a backup")
    try:
        body = json.loads(read_bytes(path))
        said = body.pop("sha256")
        expires = body["expires_at"]
        manifest = Manifest(
            name=body["name"],
            taken_at=datetime.fromisoformat(body["taken_at"]),
            expires_at=None if expires is None else datetime.fromisoformat(expires),
            key_ids=frozenset(map(bytes.fromhex, body["key_ids"])),
            kek_versions={kek: (low, high) for kek, (low, high) in body["kek_versions"].items()},
        )
        found, whose = digest(body), body["realm"]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise damaged from None
    if said != found or (body["format"], body["version"]) != (FORMAT, VERSION):
        raise damaged
    if whose != str(realm):
        raise ConfigurationError(f"{path} belongs to realm {whose}, the settings say {realm}")
    return manifest


def digest(body: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hexadecimal, of a JSON object with sorted keys and no white space."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
