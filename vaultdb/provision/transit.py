"""The key-encryption key and its mount."""

from __future__ import annotations

from typing import Any

from vaultdb.errors import ConfigurationError
from vaultdb.provision.step import State
from vaultdb.provision.vault_objects import VaultObjects
from vaultdb.vault.transit import KEK_BODY, KIND


def check_kek(vault: VaultObjects, mount: str, kek: str) -> None:
    """Refuse a key that exists and does not keep secrets as it should; none is fine.

    Raises:
        ConfigurationError: says what is wrong with the key.

    """
    found = vault.read(f"{mount}/keys/{kek}") if f"{mount}/" in vault.mounted() else None
    if found is None:
        return
    for wrong, reason in _faults(found):
        if wrong:
            raise ConfigurationError(
                f"key {kek} in {mount} cannot be the KEK: {reason}, and that cannot be changed;"
                " choose another name with vault.kek"
            )


def set_up_transit(vault: VaultObjects, mount: str, kek: str) -> None:
    """Mount transit, make the KEK, and stop keys from being made by a misspelt name."""
    ours = vault.ensure_mount(mount, "transit", "key-encryption keys")
    path = f"{mount}/keys/{kek}"
    if vault.read(path) is None:
        vault.progress.step(f"key {kek}", State.CREATE, lambda: vault.write(path, KEK_BODY))
    else:
        vault.progress.step(f"key {kek}", State.SAME)
    vault.ensure(
        f"no upsert in {mount}", f"{mount}/config/keys", {"disable_upsert": True}, ours=ours
    )


def _faults(key: dict[str, Any]) -> list[tuple[bool, str]]:
    return [
        (key.get("type") != KIND, f"its type is {key.get('type')}, not {KIND}"),
        (not key.get("derived"), "it is not derived, so the context of a data key is ignored"),
        (bool(key.get("exportable")), "it is exportable, so an administrator may have a copy"),
        (
            bool(key.get("allow_plaintext_backup")),
            "it allows plaintext backups, so somebody may have a copy",
        ),
        (bool(key.get("soft_deleted")), "it is soft-deleted"),
    ]
