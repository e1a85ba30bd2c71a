"""The login of the settings: the user of the URL, with a password or a file that holds it."""

from __future__ import annotations

from vaultdb.db.login.source import Login
from vaultdb.settings import DatabaseSettings


class FixedLogin:
    """Reads the password at each new connection: the file may have been replaced.

    Args:
        settings: the `[database]` section.

    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings

    def current(self) -> Login:
        """Return the password, if there is one; the URL names the user."""
        return Login(password=self._settings.read_password())

    def is_ready(self) -> bool:
        """Return True: a file is read at once."""
        return True

    def is_retired(self, generation: int) -> bool:  # noqa: ARG002  # there is but one
        """Return False: an open connection outlives its password."""
        return False

    def refused(self, generation: int) -> bool:  # noqa: ARG002  # there is but one
        """Return False: there is no other login."""
        return False

    def close(self) -> None:
        """Do nothing; nothing was borrowed."""
