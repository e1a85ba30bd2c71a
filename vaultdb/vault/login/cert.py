"""The TLS client certificate of the connection."""

from __future__ import annotations

import hvac

from vaultdb.vault.token import Token

MOUNT = "cert"


class CertLogin:
    """Log in with the client certificate of the endpoint.

    Args:
        role: the role to log in to; any that accepts the certificate if None.
        mount: where the method is mounted.

    """

    name = "cert"

    def __init__(self, role: str | None, *, mount: str = MOUNT) -> None:
        self._role = role
        self._mount = mount

    def login(self, vault: hvac.Client, asked_at: float) -> Token:
        """Log in as the holder of the certificate's key."""
        # hvac's own method wants the certificate again; the connection has shown it already.
        answer = vault.adapter.post(
            f"/v1/auth/{self._mount}/login", json={"name": self._role} if self._role else {}
        )
        return Token.from_login(answer, asked_at)
