"""A token that somebody else obtained, from the configuration or an agent's file."""

from __future__ import annotations

import hvac

from vaultdb.vault.login.secret_file import ReadSecret
from vaultdb.vault.token import Token


class TokenLogin:
    """Use a given token. It is renewed, but never revoked: others may use it, too.

    Args:
        secret: gives the token; a file is read anew, as an agent may have replaced the token.

    """

    name = "token"

    def __init__(self, secret: ReadSecret) -> None:
        self._secret = secret

    def login(self, vault: hvac.Client, asked_at: float) -> Token:
        """Ask Vault how long the token lives."""
        secret = self._secret()
        vault.token = secret
        return Token.from_lookup(secret, vault.auth.token.lookup_self(), asked_at)
