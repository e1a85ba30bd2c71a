"""The calls of the transit engine that vaultdb makes, on one KEK."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from vaultdb.crypto.limits import KEY_SIZE
from vaultdb.errors import VaultRejected
from vaultdb.vault.answers import known_reason, take
from vaultdb.vault.client import VaultClient

T = TypeVar("T")

KIND = "aes256-gcm96"
KEK_BODY = {
    "type": KIND,
    "derived": True,
    "exportable": False,
    "allow_plaintext_backup": False,
}
"""How a KEK is made: bound to contexts, and never to leave Vault."""

_WRAPPED = re.compile(r"vault:v([1-9][0-9]{0,8}):[A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True)
class KekFacts:
    """What Vault says about a KEK; no secret among it."""

    derived: bool
    exportable: bool
    plaintext_backup: bool
    latest_version: int


class Transit:
    """One KEK in one transit mount; both names come from the configuration, never from a row.

    Args:
        client: logged in as any role.
        mount: the mount's path.
        kek: the key's name.

    """

    def __init__(self, client: VaultClient, mount: str, kek: str) -> None:
        self._client = client
        self._mount = mount.strip("/")
        self._kek = kek

    def create(self) -> KekFacts:
        """Make the KEK as every one must be; one that exists stays as it is. Return what it is."""
        path = f"/v1/{self._mount}/keys/{self._kek}"
        answer = self._client.call(lambda vault: vault.adapter.post(path, json=KEK_BODY))
        # Servers of before 2023 answer without a body.
        return _facts(take(answer, "data")) if isinstance(answer, dict) else self.read()

    def read(self) -> KekFacts:
        """Read the KEK's properties."""
        answer = self._client.call(
            lambda vault: vault.secrets.transit.read_key(self._kek, mount_point=self._mount)
        )
        return _facts(take(answer, "data"))

    def data_key(self, context: bytes) -> tuple[bytes, str, int]:
        """Make a DEK: its 32 secret bytes, its wrapped text and the KEK's version."""
        answer = self._client.call(
            lambda vault: vault.secrets.transit.generate_data_key(
                self._kek,
                "plaintext",
                context=_b64(context),
                bits=8 * KEY_SIZE,
                mount_point=self._mount,
            )
        )
        plaintext = take(answer, "data", "plaintext")
        return _plaintext(plaintext), *_wrapped(take(answer, "data", "ciphertext"))

    def unwrap(self, items: Sequence[tuple[str, bytes]]) -> list[bytes | VaultRejected]:
        """Decrypt wrapped DEKs, each with its context; errors take the place of single items."""
        return self._batch(
            "decrypt",
            # Without this one bad item makes the whole answer a 400.
            {"batch_input": _items(items), "partial_failure_response_code": 200},
            len(items),
            lambda result: _plaintext(take(result, "plaintext")),
        )

    def rewrap(self, items: Sequence[tuple[str, bytes]]) -> list[tuple[str, int] | VaultRejected]:
        """Encrypt wrapped DEKs anew under the latest version, inside Vault."""
        return self._batch(
            "rewrap",
            {"batch_input": _items(items)},
            len(items),
            lambda result: _wrapped(take(result, "ciphertext")),
        )

    def rotate(self) -> None:
        """Make a new version of the KEK; never repeated, for it would make two."""
        self._client.call(
            lambda vault: vault.secrets.transit.rotate_key(self._kek, mount_point=self._mount),
            repeatable=False,
        )

    def _batch(
        self, operation: str, body: dict[str, Any], count: int, read: Callable[[Any], T]
    ) -> list[T | VaultRejected]:
        path = f"{self._mount}/{operation}/{self._kek}"
        # Not through hvac's methods: they do not know the parameter for partial failures.
        answer = self._client.call(lambda vault: vault.adapter.post(f"/v1/{path}", json=body))
        results = take(answer, "data", "batch_results")
        if not isinstance(results, list) or len(results) != count:
            raise VaultRejected(f"{path}: vault did not answer all of {count} items")
        return [_result(result, path, read) for result in results]


def _facts(data: Any) -> KekFacts:
    return KekFacts(
        latest_version=int(take(data, "latest_version")),
        derived=bool(data.get("derived")),
        exportable=bool(data.get("exportable")),
        plaintext_backup=bool(data.get("allow_plaintext_backup")),
    )


def _result(result: Any, path: str, read: Callable[[Any], T]) -> T | VaultRejected:
    """Look at each item: a failed one comes with status 200 and an `error`."""
    error = result.get("error") if isinstance(result, dict) else "not an item"
    if error:
        reason = known_reason(str(error)) or "the item was refused"
        return VaultRejected(f"{path}: {reason}")
    return read(result)


def _items(items: Sequence[tuple[str, bytes]]) -> list[dict[str, str]]:
    return [{"ciphertext": wrapped, "context": _b64(context)} for wrapped, context in items]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _plaintext(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError):
        return b""  # no DEK has this size, so it is refused; the text must not reach an error


def _wrapped(text: object) -> tuple[str, int]:
    """Read the KEK's version in a wrapped text."""
    match = _WRAPPED.fullmatch(str(text))
    if match is None:
        raise VaultRejected("the wrapped data key is not a transit ciphertext")
    return match[0], int(match[1])
