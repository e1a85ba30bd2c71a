"""From settings to a key provider and a keyring; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from vaultdb.errors import ConfigurationError
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.listener import KeyListener
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.store import KeyStore
from vaultdb.settings import Settings, VaultSettings
from vaultdb.vault.client import VaultClient
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.login import (
    AppRoleLogin,
    CertLogin,
    JwtLogin,
    KubernetesLogin,
    LoginMethod,
    TokenLogin,
    WrappedSecretId,
    approle,
    cert,
    jwt,
    kubernetes,
)
from vaultdb.vault.login.secret_file import ReadSecret, secret_in, secret_is
from vaultdb.vault.providers.local import LocalProvider
from vaultdb.vault.providers.memory import MemoryProvider
from vaultdb.vault.providers.vault import VaultProvider

T = TypeVar("T")

ENTRY_POINTS = "vaultdb.key_providers"
"""The group of other key providers: each is a callable that takes `Settings`."""


def new_keyring(
    settings: Settings,
    store: KeyStore,
    client: Callable[[], VaultClient] | None = None,
    listener: KeyListener | None = None,
) -> Keyring:
    """Make a keyring as configured, over this key table; see `new_provider`."""
    return Keyring(
        realm=settings.realm,
        provider=new_provider(settings, client),
        store=store,
        create_keys=settings.create_keys,
        minimum_versions=settings.keyring.minimum_versions,
        soft_ttl=settings.keyring.soft_ttl,
        hard_ttl=settings.keyring.hard_ttl,
        capacity=settings.keyring.capacity,
        listener=listener,
    )


def new_provider(
    settings: Settings, client: Callable[[], VaultClient] | None = None
) -> KeyProvider:
    """Make the key provider that `keys` names.

    Args:
        settings: of the role that uses it.
        client: gives the Vault client to share, which its owner closes; without it the provider
            has one of its own.

    Raises:
        ConfigurationError: there is no such provider, or a setting that it needs is missing.

    """
    match settings.keys:
        case "vault":
            vault = settings.vault
            return VaultProvider(
                new_client(vault) if client is None else client(),
                mount=vault.transit_mount,
                kek=vault.kek,
                owns_client=client is None,
                realm=settings.realm,
                tenant_keysets=settings.tenant_keysets,
            )
        case "local":
            _refuse_tenants(settings)
            file = _needed(settings.local.kek_file, "local.kek_file", "VAULTDB_LOCAL_KEK_FILE")
            return LocalProvider(file)
        case "memory":
            return MemoryProvider(settings.tenant_keysets)
        case name:
            return _from_entry_point(name, settings)


def new_client(settings: VaultSettings) -> VaultClient:
    """Make a client that logs in as configured.

    Raises:
        ConfigurationError: a setting that the login needs is missing, or two contradict each other.

    """
    endpoint = Endpoint(
        addr=_needed(settings.addr, "vault.addr", "VAULTDB_VAULT_ADDR"),
        ca_cert=settings.ca_cert,
        namespace=settings.namespace,
        client_cert=settings.client_cert,
        client_key=settings.client_key,
        timeout=settings.timeout,
    )
    return VaultClient(endpoint, _METHODS[settings.auth](settings))


def _approle(settings: VaultSettings) -> LoginMethod:
    mount = settings.auth_mount or approle.MOUNT
    role_id = _needed(settings.role_id, "vault.role_id", "VAULTDB_VAULT_ROLE_ID")
    given = {
        "vault.secret_id": settings.secret_id,
        "vault.secret_id_file": settings.secret_id_file,
        "vault.wrapped_secret_id_file": settings.wrapped_secret_id_file,
    }
    _one_of(given)
    if settings.wrapped_secret_id_file is not None:
        token = secret_in(settings.wrapped_secret_id_file, "vault.wrapped_secret_id_file")
        wrapped = WrappedSecretId(token, mount=mount, role=settings.role)
        return AppRoleLogin(role_id, wrapped, mount=mount)
    secret_id = _secret(settings.secret_id, settings.secret_id_file, "vault.secret_id_file")
    return AppRoleLogin(role_id, secret_id, mount=mount)


def _jwt(settings: VaultSettings) -> LoginMethod:
    file = _needed(settings.jwt_file, "vault.jwt_file", "VAULTDB_VAULT_JWT_FILE")
    mount = settings.auth_mount or jwt.MOUNT
    return JwtLogin(settings.role, secret_in(file, "vault.jwt_file"), mount=mount)


def _kubernetes(settings: VaultSettings) -> LoginMethod:
    role = _needed(settings.role, "vault.role", "VAULTDB_VAULT_ROLE")
    file = settings.jwt_file or kubernetes.SERVICE_ACCOUNT_TOKEN
    mount = settings.auth_mount or kubernetes.MOUNT
    return KubernetesLogin(role, secret_in(file, "vault.jwt_file"), mount=mount)


def _cert(settings: VaultSettings) -> LoginMethod:
    _needed(settings.client_cert, "vault.client_cert", "VAULTDB_VAULT_CLIENT_CERT")
    return CertLogin(settings.role, mount=settings.auth_mount or cert.MOUNT)


def _token(settings: VaultSettings) -> LoginMethod:
    _one_of({"vault.token": settings.token, "vault.token_file": settings.token_file})
    return TokenLogin(_secret(settings.token, settings.token_file, "vault.token_file"))


_METHODS: dict[str, Callable[[VaultSettings], LoginMethod]] = {
    "approle": _approle,
    "cert": _cert,
    "jwt": _jwt,
    "kubernetes": _kubernetes,
    "token": _token,
}


def _secret(secret: Any, file: Path | None, setting: str) -> ReadSecret:
    return secret_in(file, setting) if file is not None else secret_is(secret.get_secret_value())


def _one_of(given: Mapping[str, object]) -> None:
    present = [name for name, value in given.items() if value is not None]
    if len(present) == 1:
        return
    names = " or ".join(present or given)
    problem = "set only one of" if present else "set"
    raise ConfigurationError(f"the login to vault needs one secret: {problem} {names}")


def _refuse_tenants(settings: Settings) -> None:
    for name in sorted(settings.tenant_keysets):
        raise ConfigurationError(
            f'setting keysets.{name}.kek: keys = "local" has one key-encryption key for all; set'
            ' keys = "vault", or kek = "realm"'
        )


def _needed(value: T | None, key: str, variable: str) -> T:
    if value is None:
        raise ConfigurationError(f"setting {key} is missing; set it in vaultdb.toml or {variable}")
    return value


def _from_entry_point(name: str, settings: Settings) -> KeyProvider:
    found = list(entry_points(group=ENTRY_POINTS, name=name))
    if len(found) != 1:
        known = sorted({"local", "memory", "vault", *entry_points(group=ENTRY_POINTS).names})
        problem = "several packages provide" if found else "no package provides"
        raise ConfigurationError(
            f"keys: {problem} the key provider {name!r}; known are {', '.join(known)}"
        )
    provider = found[0].load()(settings)
    if not isinstance(provider, KeyProvider):
        raise ConfigurationError(f"keys: {found[0].value} does not make a KeyProvider")
    return provider
