"""What a way to log in has to do."""

from __future__ import annotations

from typing import Protocol

import hvac

from vaultdb.vault.token import Token


class LoginMethod(Protocol):
    """One way to get a token. Called by one thread at a time, whenever a new token is needed."""

    @property
    def name(self) -> str:
        """The word that selects it in the configuration."""
        ...

    def login(self, vault: hvac.Client, asked_at: float) -> Token:
        """Log in.

        Args:
            vault: a client without a token.
            asked_at: the clock now; the token's life counts from here.

        Raises:
            VaultError: as any call; `VaultRejected` counts as a refused login.
            VaultDenied: the login cannot work, and why.
            ConfigurationError: a file cannot be read.

        """
        ...
