"""The KEK in the transit engine of HashiCorp Vault or OpenBao."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from vaultdb.errors import (
    ConfigurationError,
    KeyDenied,
    KeyringError,
    KeyUnavailable,
    VaultDenied,
    VaultRejected,
    VaultUnavailable,
    VaultUntrusted,
)
from vaultdb.vault.client import VaultClient
from vaultdb.vault.transit import Transit

T = TypeVar("T")


class VaultProvider:
    """A key provider whose KEK never leaves Vault.

    The KEK must be derived, so that a wrapped DEK is bound to its context: on any other key Vault
    ignores the context without a word. That is checked before the first use in each process.

    Args:
        client: logs in by itself.
        mount: the transit mount.
        kek: the key's name in it. Both come from the configuration, never from a row.
        owns_client: close the client with the provider.

    """

    name = "vault"

    def __init__(
        self, client: VaultClient, *, mount: str, kek: str, owns_client: bool = True
    ) -> None:
        self._client = client
        self._owns_client = owns_client
        self._key = f"{mount}/keys/{kek}"
        self._transit = Transit(client, mount, kek)
        self._checked = False

    def create(self, context: bytes) -> tuple[bytes, str, int]:
        """Make a DEK; return its 32 secret bytes, the wrapped text and the KEK's version."""
        self._check_once()
        return _translated(lambda: self._transit.data_key(context))

    def unwrap(self, keys: Sequence[tuple[str, bytes]]) -> list[bytes | KeyringError]:
        """Unwrap pairs of wrapped text and context in one request."""
        self._check_once()
        results = _translated(lambda: self._transit.unwrap(keys))
        return [
            _item(result) if isinstance(result, VaultRejected) else result for result in results
        ]

    def rewrap(self, keys: Sequence[tuple[str, bytes]]) -> list[tuple[str, int] | KeyringError]:
        """Wrap DEKs under the newest KEK in one request, without seeing their plaintext."""
        self._check_once()
        results = _translated(lambda: self._transit.rewrap(keys))
        return [
            _item(result) if isinstance(result, VaultRejected) else result for result in results
        ]

    def rotate(self) -> int:
        """Make a new version of the KEK and return it."""
        self._check_once()
        _translated(self._transit.rotate)
        return self.latest_version()

    def latest_version(self) -> int:
        """Return the newest version of the KEK."""
        return _translated(self._transit.read).latest_version

    def check(self) -> None:
        """Read the KEK's properties.

        Raises:
            ConfigurationError: it is not derived, or its plaintext can leave Vault.
            KeyUnavailable, KeyDenied: it cannot be read.

        """
        kek = _translated(self._transit.read)
        if not kek.derived:
            raise ConfigurationError(
                f"the transit key {self._key} is not derived, so vault would ignore what a data "
                "key is bound to; create another with derived=true and set vault.kek"
            )
        if kek.exportable or kek.plaintext_backup:
            raise ConfigurationError(
                f"the transit key {self._key} can be exported or backed up in plaintext, which "
                "cannot be undone; create another with exportable=false and set vault.kek"
            )
        self._checked = True

    def close(self) -> None:
        """Close a client of its own: its token is revoked, if it is ours."""
        if self._owns_client:
            self._client.close()

    def __repr__(self) -> str:
        return f"<VaultProvider {self._key}>"

    def _check_once(self) -> None:
        if not self._checked:
            self.check()


def _item(error: VaultRejected) -> KeyDenied:
    return KeyDenied(str(error))


def _translated(call: Callable[[], T]) -> T:
    """Turn errors of Vault into errors of keys, without what led to them."""
    try:
        return call()
    except VaultUnavailable as error:
        translated: KeyringError = KeyUnavailable(str(error))
    except (VaultDenied, VaultRejected) as error:
        translated = KeyDenied(str(error))
    except VaultUntrusted as error:
        # Whoever answers is not Vault: as good as nobody, so keys in the cache are kept.
        translated = KeyUnavailable(str(error))
    raise translated
