"""The KEK in the transit engine of HashiCorp Vault or OpenBao."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar
from uuid import UUID

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
from vaultdb.keys.provider import KekMissing, KeyProvider
from vaultdb.keys.wrapped_key import KeyScope
from vaultdb.vault.answers import NotFound
from vaultdb.vault.client import VaultClient
from vaultdb.vault.tenant_kek import TenantProviders, tenant_kek
from vaultdb.vault.transit import KekFacts, Transit

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
        realm: the installation, for the names of the tenants' KEKs.
        tenant_keysets: the keysets in which each tenant has a KEK of its own.
        remedy: what is said when there is no such key.

    """

    name = "vault"

    def __init__(
        self,
        client: VaultClient,
        *,
        mount: str,
        kek: str,
        owns_client: bool = True,
        realm: UUID | None = None,
        tenant_keysets: Collection[str] = (),
        remedy: str = "check vault.kek, or make it with: vaultdb provision vault",
    ) -> None:
        if tenant_keysets and realm is None:
            raise ConfigurationError("the keys of tenants need the realm; give realm=")
        self._client = client
        self._mount = mount
        self._kek = kek
        self._realm = realm
        self._owns_client = owns_client
        self._key = f"{mount}/keys/{kek}"
        self._remedy = remedy
        self._transit = Transit(client, mount, kek)
        self._tenants = TenantProviders(tenant_keysets, self._of_tenant)
        self._checked = False

    def for_scope(self, scope: KeyScope) -> KeyProvider:
        """Return the provider of the tenant's KEK, or this one; it shares the client."""
        return self._tenants.of(scope) or self

    def ensure_kek(self) -> None:
        """Make the KEK, derived and not exportable, unless it exists.

        Raises:
            KeyDenied: the role may not make keys.
            ConfigurationError: it exists, and is not fit to be a KEK.

        """
        self._accept(_translated(self._transit.create))

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
            KekMissing: it does not exist.
            KeyUnavailable, KeyDenied: it cannot be read.

        """
        try:
            self._accept(_translated(self._transit.read))
        except KekMissing as error:
            text = f"{error}; there is no such key: {self._remedy}"
        else:
            return
        raise KekMissing(text)

    def close(self) -> None:
        """Close a client of its own: its token is revoked, if it is ours."""
        if self._owns_client:
            self._client.close()

    def __repr__(self) -> str:
        return f"<VaultProvider {self._key}>"

    def _accept(self, kek: KekFacts) -> None:
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

    def _of_tenant(self, tenant: str) -> VaultProvider:
        if self._realm is None:  # refused before
            raise AssertionError
        return VaultProvider(
            self._client,
            mount=self._mount,
            kek=tenant_kek(self._kek, self._realm, tenant),
            owns_client=False,
            remedy=f"tenant {tenant!r} has none yet, or its key was destroyed; make it with:"
            f" {shlex.join(['vaultdb', 'keys', 'create', '--tenant', tenant])}",
        )

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
    except NotFound as error:
        translated = KekMissing(str(error))
    except (VaultDenied, VaultRejected) as error:
        translated = KeyDenied(str(error))
    except VaultUntrusted as error:
        # Whoever answers is not Vault: as good as nobody, so keys in the cache are kept.
        translated = KeyUnavailable(str(error))
    raise translated
