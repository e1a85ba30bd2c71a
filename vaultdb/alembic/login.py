"""The login that migrates: its own, never the application's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaultdb.db.connect import new_engine
from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from vaultdb.settings import Settings


def migrator_engine(settings: Settings) -> Engine:
    """Return an engine for the login of settings that were loaded with `role="migrator"`.

    Raises:
        ConfigurationError: there is no such login, or a pooler is in between.

    """
    database = settings.database
    if database.url is None:
        raise ConfigurationError(
            "migrations need a login of their own: set VAULTDB_MIGRATE_URL, or migrate_url in"
            " [database] of vaultdb.toml"
        )
    if database.pooler != "none":
        raise ConfigurationError(
            "migrations hold a lock for as long as their session, which a pooler shares out:"
            ' connect to PostgreSQL directly, and set pooler = "none" in'
            " [role.migrator.database] of vaultdb.toml"
        )
    # Before it is known who logs in, no question of the driver's may meet the owner's functions.
    return new_engine(settings, use_native_hstore=False)
