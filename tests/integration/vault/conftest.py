"""A transit mount, policies and clients of this folder's own on the shared OpenBao."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fixtures.openbao import OpenBao
from vaultdb.dev.vault_api import VaultApi
from vaultdb.vault.client import VaultClient
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.login import LoginMethod, TokenLogin
from vaultdb.vault.policies import render_policy
from vaultdb.vault.providers.vault import VaultProvider

KEK = "kek"


@dataclass
class Place:
    """One transit mount with one KEK, and whoever may use it."""

    bao: OpenBao
    mount: str
    admin: VaultApi

    def endpoint(self, **options: Any) -> Endpoint:
        return Endpoint(self.bao.addr, self.bao.server.certificates.authority, **options)

    def policy(self, role: str, **options: Any) -> str:
        """Write the policy of a role for this mount; return its name."""
        name = f"{self.mount}-{role}"
        text = render_policy(role, mount=self.mount, kek=KEK, **options)
        self.admin.write(f"sys/policies/acl/{name}", policy=text)
        return name

    def token(self, role: str, **options: Any) -> str:
        """Make a token with the policy of a role and nothing else, not even `default`."""
        body = {"policies": [self.policy(role)], "no_default_policy": True, "ttl": "5m"} | options
        return str(self.admin.write("auth/token/create", **body)["auth"]["client_token"])

    def client(self, method: LoginMethod, **options: Any) -> VaultClient:
        return VaultClient(self.endpoint(**options), method)

    def provider(self, role: str) -> VaultProvider:
        token = self.token(role)
        return VaultProvider(self.client(TokenLogin(lambda: token)), mount=self.mount, kek=KEK)

    def approle(self, role: str = "app", **options: Any) -> tuple[str, Callable[..., Any]]:
        """Make an AppRole of this mount; return its role id and what issues secret ids."""
        path = f"auth/approle/role/{self.mount}-{role}"
        body = {"token_policies": [self.policy(role)], "token_ttl": "5m"} | options
        self.admin.write(path, **body)
        role_id = self.admin.read(f"{path}/role-id")["data"]["role_id"]
        return role_id, lambda: self.admin.write(f"{path}/secret-id")["data"]["secret_id"]


@pytest.fixture(scope="module")
def admin(openbao: OpenBao) -> VaultApi:
    """An administrator; a login takes as long as ten tests, for its password is hashed well."""
    return openbao.admin


@pytest.fixture
def place(openbao: OpenBao, admin: VaultApi) -> Iterator[Place]:
    mount = f"keys-{secrets.token_hex(4)}"
    admin.write(f"sys/mounts/{mount}", type="transit")
    admin.write(f"{mount}/keys/{KEK}", type="aes256-gcm96", derived=True)
    yield Place(openbao, mount, admin)
    admin._call("DELETE", f"sys/mounts/{mount}", None)
