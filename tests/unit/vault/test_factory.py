"""From settings to providers, without a server."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from vaultdb.errors import ConfigurationError
from vaultdb.keys import MemoryKeyStore
from vaultdb.settings import KeyringSettings, LocalSettings, Settings, VaultSettings
from vaultdb.vault import factory
from vaultdb.vault.providers.local import LocalProvider
from vaultdb.vault.providers.memory import MemoryProvider
from vaultdb.vault.providers.vault import VaultProvider

ADDR = {"addr": "https://127.0.0.1:9"}
FILE = Path("/nowhere/secret")


def settings(keys: str = "vault", **options: Any) -> Settings:
    return Settings.model_validate({"realm": uuid4(), "keys": keys, **options})


@pytest.mark.parametrize(
    "vault",
    [
        {"auth": "approle", "role_id": "r", "secret_id": "s"},
        {"auth": "approle", "role_id": "r", "secret_id_file": FILE},
        {"auth": "approle", "role_id": "r", "wrapped_secret_id_file": FILE},
        {"auth": "jwt", "role": "r", "jwt_file": FILE},
        {"auth": "kubernetes", "role": "r"},
        {"auth": "cert", "client_cert": FILE},
        {"auth": "token", "token": "t"},
        {"auth": "token", "token_file": FILE},
    ],
)
def test_every_login_is_made_without_io(vault: dict[str, Any]) -> None:
    provider = factory.new_provider(settings(vault=ADDR | vault))
    assert isinstance(provider, VaultProvider)
    provider.close()


@pytest.mark.parametrize(
    ("vault", "missing"),
    [
        ({"auth": "token", "token": "t", "addr": None}, "VAULTDB_VAULT_ADDR"),
        ({"auth": "approle", "secret_id": "s"}, "VAULTDB_VAULT_ROLE_ID"),
        ({"auth": "approle", "role_id": "r"}, "vault.secret_id or vault.secret_id_file or"),
        ({"auth": "jwt"}, "VAULTDB_VAULT_JWT_FILE"),
        ({"auth": "kubernetes"}, "VAULTDB_VAULT_ROLE"),
        ({"auth": "cert"}, "VAULTDB_VAULT_CLIENT_CERT"),
        ({"auth": "token"}, "vault.token or vault.token_file"),
    ],
)
def test_what_a_login_needs_is_named(vault: dict[str, Any], missing: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        factory.new_client(VaultSettings.model_validate(ADDR | vault))
    assert missing in str(caught.value)


@pytest.mark.parametrize(
    "vault",
    [
        {"auth": "approle", "role_id": "r", "secret_id": "hush", "secret_id_file": FILE},
        {"auth": "approle", "role_id": "r", "secret_id": "hush", "wrapped_secret_id_file": FILE},
        {"auth": "token", "token": "hush", "token_file": FILE},
    ],
)
def test_two_secrets_contradict_each_other(vault: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="set only one of") as caught:
        factory.new_client(VaultSettings.model_validate(ADDR | vault))
    assert "hush" not in str(caught.value)


def test_the_local_and_memory_providers_are_made() -> None:
    made = factory.new_provider(
        settings("local", local=LocalSettings.model_validate({"kek_file": FILE}))
    )
    assert isinstance(made, LocalProvider)
    assert isinstance(factory.new_provider(settings("memory")), MemoryProvider)


def test_a_missing_kek_file_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"local\.kek_file .*VAULTDB_LOCAL_KEK_FILE"):
        factory.new_provider(settings("local"))


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigurationError, match=r"no package provides .*'kms'; known are local, m"
    ):
        factory.new_provider(settings("kms"))


def new_other(_: Settings) -> MemoryProvider:
    return MemoryProvider()


def new_nonsense(_: Settings) -> object:
    return object()


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    found = EntryPoints(
        EntryPoint(name, f"{__name__}:{function}", factory.ENTRY_POINTS)
        for name, function in [
            ("other", "new_other"),
            ("nonsense", "new_nonsense"),
            ("twice", "new_other"),
            ("twice", "new_nonsense"),
        ]
    )
    monkeypatch.setattr(factory, "entry_points", found.select)


@pytest.mark.usefixtures("entry_points")
def test_a_provider_of_another_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _: new_other)
    assert isinstance(factory.new_provider(settings("other")), MemoryProvider)


@pytest.mark.usefixtures("entry_points")
def test_a_provider_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _: new_nonsense)
    with pytest.raises(ConfigurationError, match="does not make a KeyProvider"):
        factory.new_provider(settings("nonsense"))


@pytest.mark.usefixtures("entry_points")
def test_a_name_that_two_packages_claim_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="several packages provide"):
        factory.new_provider(settings("twice"))


def test_a_keyring_gets_the_settings() -> None:
    chosen = settings(
        "memory", create_keys=True, keyring=KeyringSettings.model_validate({"capacity": 7})
    )
    keyring = factory.new_keyring(chosen, MemoryKeyStore())
    assert keyring.realm == chosen.realm
    assert keyring.active("new", "default").version == 1
    keyring.close()
