"""The key-encryption key and its mount."""

from __future__ import annotations

from typing import Any

from vaultdb.errors import ConfigurationError
from vaultdb.provision.step import State
from vaultdb.provision.vault_objects import VaultObjects
from vaultdb.vault.policies import Role, checkpoint_key, escrow_key, writer_key
from vaultdb.vault.transit import KEK_BODY, KIND

ESCROW_BODY = {"type": "rsa-4096", "exportable": False, "allow_plaintext_backup": False}
"""How the key is made that the first keys of audit chains are encrypted to."""

SIGNING_BODY = {"type": "ed25519", "exportable": False, "allow_plaintext_backup": False}
"""How the keys are made that sign checkpoints, and certify processes."""


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


def set_up_audit_keys(vault: VaultObjects, mount: str, kek: str) -> None:
    """Make the keys of the audit log: the escrow's, the checkpoints', one for each writer."""
    wanted = {escrow_key(kek): ESCROW_BODY, checkpoint_key(kek): SIGNING_BODY}
    wanted |= {writer_key(kek, role): SIGNING_BODY for role in Role}
    for name, body in wanted.items():
        _ensure_key(vault, mount, name, body)


def _ensure_key(vault: VaultObjects, mount: str, name: str, body: dict[str, Any]) -> None:
    path = f"{mount}/keys/{name}"
    found = vault.read(path)
    if found is None:
        vault.progress.step(f"key {name}", State.CREATE, lambda: vault.write(path, body))
        return
    for wrong, reason in _audit_faults(found, body):
        if wrong:
            raise ConfigurationError(
                f"key {name} in {mount} cannot be used for the audit log: {reason}; choose another"
                " name with vault.kek"
            )
    vault.progress.step(f"key {name}", State.SAME)


def _audit_faults(key: dict[str, Any], body: dict[str, Any]) -> list[tuple[bool, str]]:
    kind = body["type"]
    return [
        (key.get("type") != kind, f"its type is {key.get('type')}, not {kind}"),
        (bool(key.get("exportable")), "it is exportable, so an administrator may have a copy"),
    ]


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
