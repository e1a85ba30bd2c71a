"""The service account token of a Kubernetes pod."""

from __future__ import annotations

from pathlib import Path

import hvac

from vaultdb.vault.login.secret_file import ReadSecret
from vaultdb.vault.token import Token

MOUNT = "kubernetes"
SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Where Kubernetes puts a pod's token and replaces it before it expires."""


class KubernetesLogin:
    """Log in with a service account token, which Vault checks with the Kubernetes API.

    Args:
        role: the role to log in to.
        jwt: gives the service account token, read anew at each login.
        mount: where the method is mounted.

    """

    name = "kubernetes"

    def __init__(self, role: str, jwt: ReadSecret, *, mount: str = MOUNT) -> None:
        self._role = role
        self._jwt = jwt
        self._mount = mount

    def login(self, vault: hvac.Client, asked_at: float) -> Token:
        """Log in with the service account token that is there now."""
        answer = vault.auth.kubernetes.login(
            self._role, self._jwt(), use_token=False, mount_point=self._mount
        )
        return Token.from_login(answer, asked_at)
