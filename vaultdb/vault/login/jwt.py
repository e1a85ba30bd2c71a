"""A JWT, for example of a CI system or a workload identity."""

from __future__ import annotations

import hvac

from vaultdb.vault.login.secret_file import ReadSecret
from vaultdb.vault.token import Token

MOUNT = "jwt"


class JwtLogin:
    """Log in with a JWT.

    Args:
        role: the role to log in to; the mount's default role if None.
        jwt: gives the JWT, read anew at each login because issuers replace it.
        mount: where the method is mounted.

    """

    name = "jwt"

    def __init__(self, role: str | None, jwt: ReadSecret, *, mount: str = MOUNT) -> None:
        self._role = role
        self._jwt = jwt
        self._mount = mount

    def login(self, vault: hvac.Client, asked_at: float) -> Token:
        """Log in with the JWT that is there now."""
        answer = vault.auth.jwt.jwt_login(
            self._role, self._jwt(), use_token=False, path=self._mount
        )
        return Token.from_login(answer, asked_at)
