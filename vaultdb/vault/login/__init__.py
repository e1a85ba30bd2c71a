"""The ways to log in to Vault: one file each."""

from __future__ import annotations

from vaultdb.vault.login.approle import AppRoleLogin, WrappedSecretId
from vaultdb.vault.login.cert import CertLogin
from vaultdb.vault.login.jwt import JwtLogin
from vaultdb.vault.login.kubernetes import KubernetesLogin
from vaultdb.vault.login.method import LoginMethod
from vaultdb.vault.login.token import TokenLogin

__all__ = [
    "AppRoleLogin",
    "CertLogin",
    "JwtLogin",
    "KubernetesLogin",
    "LoginMethod",
    "TokenLogin",
    "WrappedSecretId",
]
