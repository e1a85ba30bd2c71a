"""Every stage of a rotation logs in as the role that it is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaultdb.db.connect import new_engine
from vaultdb.db.failures import plain_failures
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.errors import ConfigurationError
from vaultdb.vault.factory import new_provider

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vaultdb.keys.provider import KeyProvider
    from vaultdb.settings import Settings
    from vaultdb.settings.model import Role


@dataclass(frozen=True, slots=True)
class Logins:
    """Opens what a role may use.

    Args:
        load: gives the settings of a role.

    """

    load: Callable[[Role], Settings]

    @contextmanager
    def provider(self, role: Role) -> Iterator[KeyProvider]:
        """Give a role's key provider, checked.

        Raises:
            ConfigurationError: the keys live in memory, or the KEK is not fit for them.

        """
        settings = self.load(role)
        if settings.keys == "memory":
            raise ConfigurationError(
                'keys = "memory" live in the process that made them; this needs keys = "vault" or'
                ' "local"'
            )
        with closing(new_provider(settings)) as provider:
            provider.check()
            yield provider

    @contextmanager
    def store(self, role: Role) -> Iterator[PostgresKeyStore]:
        """Give the key table by a role's login."""
        with closing(PostgresKeyStore(self.load(role), answer_timeout=None)) as store:
            yield store

    @contextmanager
    def rows(self, doing: str) -> Iterator[Connection]:
        """Give a connection by the rotator's login, which may read and change encrypted columns."""
        engine = new_engine(self.load("rotator"))
        failures = plain_failures(doing, unavailable=ConfigurationError)
        try:
            with failures, engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()
