"""What one engine borrows from Vault: a token and the login of its database, both shared."""

from __future__ import annotations

from functools import cached_property

from vaultdb.db.login.fixed import FixedLogin
from vaultdb.db.login.leased import LeasedLogin
from vaultdb.db.login.rotated import RotatedLogin
from vaultdb.db.login.source import LoginSource
from vaultdb.db.url import normalise_url
from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings, Settings
from vaultdb.vault.client import VaultClient
from vaultdb.vault.factory import new_client
from vaultdb.vault.leases import DatabaseRole

REPLICA_LAG = 5.0
"""Seconds that a new login may take to get to a read replica; until then it is tried again."""


class Credentials:
    """The Vault client and the login source of an engine, its key table and its keyring.

    Making one touches neither Vault nor PostgreSQL, and checks the settings.

    Args:
        settings: of the role that logs in.

    Raises:
        ConfigurationError: the settings name two logins, or what a lease needs is missing.

    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.login = self._source(settings.database)

    @cached_property
    def client(self) -> VaultClient:
        """The client of Vault."""
        return new_client(self._settings.vault)

    def close(self) -> None:
        """Revoke lease and token, if they are this process's own; a later use borrows anew."""
        self.login.close()
        client: VaultClient | None = self.__dict__.get("client")
        if client is not None:
            client.close()

    def __repr__(self) -> str:
        return f"<Credentials {self.login!r}>"

    def _source(self, database: DatabaseSettings) -> LoginSource:
        if database.lease is None:
            return FixedLogin(database)
        _refuse_second_login(database)
        role = DatabaseRole(self.client, database.lease_mount, database.lease)
        if database.lease_kind == "static":
            return RotatedLogin(role)
        lag = 0.0 if database.primary_url is None else REPLICA_LAG
        return LeasedLogin(role, overlap=database.lease_overlap, replica_lag=lag)


def _refuse_second_login(database: DatabaseSettings) -> None:
    """Refuse a user or password beside a lease: nobody could tell which one counts."""
    for setting, secret in (("url", database.url), ("primary_url", database.primary_url)):
        url = normalise_url(secret.get_secret_value()) if secret is not None else None
        if url is not None and (url.username or url.password):
            raise ConfigurationError(
                f"database.{setting} names a login and database.lease leases one: take user and"
                f" password out of the URL, or unset VAULTDB_LEASE"
            )
    if database.password is not None or database.password_file is not None:
        raise ConfigurationError(
            "database.password is set and database.lease leases a login with its own: unset"
            " VAULTDB_PASSWORD and VAULTDB_PASSWORD_FILE, or VAULTDB_LEASE"
        )
