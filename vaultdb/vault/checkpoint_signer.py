"""Signing the checkpoints of the audit log with a transit key that never leaves Vault."""

from __future__ import annotations

import base64
import re

from vaultdb.errors import VaultRejected
from vaultdb.vault.answers import take
from vaultdb.vault.client import VaultClient
from vaultdb.vault.policies import checkpoint_key

_SIGNATURE = re.compile(r"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]{86}==)")
_PUBLIC_KEY_SIZE = 32


class VaultCheckpointSigner:
    """The `CheckpointSigner` of the sequencer's Vault login.

    Args:
        client: logged in as the sequencer, or as the auditor to read the keys only.
        mount: the transit mount.
        kek: the name of the key-encryption key, beside which the signing key is.

    """

    def __init__(self, client: VaultClient, *, mount: str, kek: str) -> None:
        self._client = client
        self._mount = mount.strip("/")
        self._name = checkpoint_key(kek)
        self._versions: dict[int, bytes] = {}
        self._used = 0

    @property
    def public_key(self) -> bytes:
        """The key of the last signature, or the newest one: 32 bytes."""
        versions = self._versions or self.read()
        return versions[self._used or max(versions)]

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """The public keys of all versions that Vault has, oldest first: 32 bytes each."""
        versions = self._versions or self.read()
        return tuple(key for _, key in sorted(versions.items()))

    def sign(self, text: bytes) -> bytes:
        """Return Vault's signature of a checkpoint: 64 bytes.

        Raises:
            VaultError: Vault does not answer, or the role may not.

        """
        path = f"/v1/{self._mount}/sign/{self._name}"
        body = {"input": base64.b64encode(text).decode()}
        answer = self._client.call(lambda vault: vault.adapter.post(path, json=body))
        match = _SIGNATURE.fullmatch(str(take(answer, "data", "signature")))
        if match is None:
            raise VaultRejected(f"{path}: vault's answer is no ed25519 signature")
        version = int(match[1])
        if version not in self._versions:
            self.read()
        if version not in self._versions:
            raise VaultRejected(f"{path}: vault signed with version {version}, which it hides")
        self._used = version
        return base64.b64decode(match[2])

    def read(self) -> dict[int, bytes]:
        """Read the public keys by version again, such as after a rotation.

        Raises:
            VaultError: Vault does not answer, or the role may not.

        """
        answer = self._client.call(
            lambda vault: vault.secrets.transit.read_key(self._name, mount_point=self._mount)
        )
        keys = take(answer, "data", "keys")
        self._versions = {
            int(version): self._public_key(take(keys, version, "public_key")) for version in keys
        }
        return self._versions

    def _public_key(self, text: object) -> bytes:
        try:
            key = base64.b64decode(str(text), validate=True)
        except ValueError:
            key = b""
        if len(key) != _PUBLIC_KEY_SIZE:
            raise VaultRejected(
                f"the key {self._mount}/keys/{self._name} is no ed25519 key; make it with:"
                " vaultdb provision vault"
            )
        return key
