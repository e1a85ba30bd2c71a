"""What the auditor's Vault login gives: the first keys of chains, and who certifies processes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from vaultdb.audit.chain import KEY_SIZE
from vaultdb.errors import VaultDenied, VaultRejected
from vaultdb.vault.answers import take
from vaultdb.vault.client import VaultClient
from vaultdb.vault.policies import escrow_key, writer_key

BATCH: Final = 64
"""First keys that are opened by one call; RSA-4096 takes Vault about 5 ms each."""

_PUBLIC_KEY_SIZE: Final = 32
_LONGEST_ROLE: Final = 63
_LONGEST_SEALED: Final = 4096
_NOTHING: Final = "vault:v1:AAAA"
"""Stands for what is no ciphertext, so that the answers keep their places."""


class VaultEscrowOpener:
    """The `EscrowOpener` of the auditor's Vault login.

    Args:
        client: logged in as the auditor.
        mount: the transit mount.
        kek: the name of the key-encryption key, beside which the escrow key is.

    """

    def __init__(self, client: VaultClient, *, mount: str, kek: str) -> None:
        self._client = client
        self._path = f"/v1/{mount.strip('/')}/decrypt/{escrow_key(kek)}"

    def open(self, sealed: Sequence[str]) -> list[bytes | None]:
        """Return the first keys of chains; None for what Vault does not open.

        Raises:
            VaultError: Vault does not answer, or the role may not.

        """
        left = iter(sealed)
        opened: list[bytes | None] = []
        while batch := list(islice(left, BATCH)):
            opened += self._open(batch)
        return opened

    def _open(self, batch: Sequence[str]) -> list[bytes | None]:
        items = [{"ciphertext": each if _is_sealed(each) else _NOTHING} for each in batch]
        body = {"batch_input": items, "partial_failure_response_code": 200}
        answer = self._client.call(lambda vault: vault.adapter.post(self._path, json=body))
        results = take(answer, "data", "batch_results")
        if not isinstance(results, list) or len(results) != len(batch):
            raise VaultRejected(f"{self._path}: vault did not answer all of {len(batch)} items")
        return [_key(result) for result in results]


class VaultWriterKeys:
    """The public keys that certify the processes of each role, read once.

    Args:
        client: logged in as the auditor.
        mount: the transit mount.
        kek: the name of the key-encryption key, beside which they are.

    """

    def __init__(self, client: VaultClient, *, mount: str, kek: str) -> None:
        self._client = client
        self._mount = mount.strip("/")
        self._kek = kek
        self._known: dict[str, dict[int, bytes]] = {}

    def writer_public_key(self, role: str, version: int) -> bytes | None:
        """Return the Ed25519 public key of a role (32 bytes); None if there is no such key."""
        if role not in self._known:
            self._known[role] = self._read(role)
        return self._known[role].get(version)

    def _read(self, role: str) -> dict[int, bytes]:
        if not role.isidentifier() or len(role) > _LONGEST_ROLE:
            return {}  # from the database: it must not become part of another path
        try:
            answer = self._client.call(
                lambda vault: vault.secrets.transit.read_key(
                    writer_key(self._kek, role), mount_point=self._mount
                )
            )
        except (VaultDenied, VaultRejected):
            return {}  # no such role
        keys = take(answer, "data", "keys")
        found = {int(version): _public_key(take(keys, version)) for version in keys}
        return {version: key for version, key in found.items() if len(key) == _PUBLIC_KEY_SIZE}


def _is_sealed(text: str) -> bool:
    # From the database: what Vault would refuse must not stop the verification of the rest.
    return text.isascii() and 0 < len(text) <= _LONGEST_SEALED


def _key(result: Any) -> bytes | None:
    text = result.get("plaintext") if isinstance(result, dict) else None
    key = _decoded(text) if isinstance(text, str) and not result.get("error") else b""
    return key if len(key) == KEY_SIZE else None


def _public_key(version: Any) -> bytes:
    text = version.get("public_key") if isinstance(version, dict) else None
    return _decoded(text) if isinstance(text, str) else b""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
