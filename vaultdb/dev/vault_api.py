"""The few calls that set a private Vault up: one request, one JSON answer.

Not for the library's own work (that is vaultdb.vault): no renewal, no retries, an administrator.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vaultdb.errors import DevStackError
from vaultdb.provision.secret_ids import AppRole
from vaultdb.vault.client import VaultClient
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.login import TokenLogin

TIMEOUT_SECONDS = 5.0
SLOW_TIMEOUT_SECONDS = 60.0  # an RSA key of 4096 bits takes long on a busy machine
READY_TIMEOUT_SECONDS = 1.0  # during self-init the port accepts, but TLS handshakes hang


class VaultNotReadyError(DevStackError):
    """Nobody answers yet, or the answer is that Vault cannot serve now."""


@dataclass(frozen=True, slots=True)
class VaultApi:
    """A Vault at `address`, trusted through `authority`; `token` is secret."""

    address: str
    authority: Path
    token: str = field(default="", repr=False)
    timeout: float = TIMEOUT_SECONDS

    def login(self, username: str, password: str) -> VaultApi:
        """Return the same API with a token of this userpass user."""
        answer = self.write(f"auth/userpass/login/{username}", password=password)
        return replace(self, token=answer["auth"]["client_token"])

    def login_approle(self, role_id: str, secret_id: str) -> VaultApi:
        """Return the same API with a token of this AppRole."""
        answer = self.write("auth/approle/login", role_id=role_id, secret_id=secret_id)
        return replace(self, token=answer["auth"]["client_token"])

    def read(self, path: str) -> dict[str, Any]:
        """Read `path`."""
        return self._call("GET", path, None)

    def write(self, path: str, /, **data: Any) -> dict[str, Any]:
        """Write `data` to `path`."""
        return self._call("POST", path, data)

    def client(self) -> VaultClient:
        """Return the library's own client with the same token; close it."""
        endpoint = Endpoint(self.address, self.authority, timeout=SLOW_TIMEOUT_SECONDS)
        return VaultClient(endpoint, TokenLogin(lambda: self.token))

    def administrator_approle(self) -> AppRole:
        """Return an AppRole that may do everything, for `[role.admin.vault]`."""
        path = "auth/approle/role/dev-admin"
        self.write(path, token_policies=["admin"], token_ttl="15m")  # noqa: S106  # a duration
        role_id = self.read(f"{path}/role-id")["data"]["role_id"]
        return AppRole(role_id, self.write(f"{path}/secret-id")["data"]["secret_id"])

    def exists(self, path: str) -> bool:
        """Whether reading `path` finds something."""
        try:
            self.read(path)
        except VaultNotReadyError:
            raise
        except DevStackError:
            return False
        return True

    def _call(self, method: str, path: str, data: dict[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310  # our own https address
            f"{self.address}/v1/{path}",
            method=method,
            data=None if data is None else json.dumps(data).encode(),
            headers={"X-Vault-Token": self.token, "X-Vault-Request": "true"},
        )
        # no proxies and no SSL_CERT_FILE: exactly this authority, exactly this server
        context = ssl.create_default_context(cafile=str(self.authority))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(request, timeout=self.timeout) as response:
                body = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _translate(error, path) from None
        except (OSError, http.client.HTTPException) as error:
            raise VaultNotReadyError(f"no answer from {self.address}: {error}") from None
        return dict(json.loads(body)) if body else {}


def _translate(error: urllib.error.HTTPError, path: str) -> DevStackError:
    try:
        reasons = "; ".join(json.loads(error.read())["errors"])
    except (ValueError, KeyError, TypeError, OSError):
        reasons = ""
    kind = VaultNotReadyError if error.code >= http.client.INTERNAL_SERVER_ERROR else DevStackError
    return kind(f"vault answers {error.code} to {path}: {reasons or error.reason}")
