"""Making a prepared engine from settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy
from pydantic import SecretStr
from sqlalchemy import URL
from sqlalchemy.ext import asyncio

from vaultdb.db.connect import attach, connect_arguments
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.rights import APPLICATIONS, refuse_excess_rights
from vaultdb.db.url import normalise_url
from vaultdb.engine.install import prepare
from vaultdb.settings import DatabaseSettings, Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from vaultdb.keys.keyring import Keyring
    from vaultdb.settings.model import Role


def create_engine(
    url: str | URL | None = None,
    *,
    profile: str | None = None,
    role: Role | None = None,
    settings: Settings | None = None,
    keyring: Keyring | None = None,
    tenant: str | None = None,
    **options: Any,
) -> Engine:
    """Make an engine for encrypted columns. Nothing is connected to yet.

    Args:
        url: the database; by default `database.url` of the settings. A bare `postgresql://` means
            psycopg 3.
        profile: a `[profile.NAME]` of `vaultdb.toml`.
        role: whose login it is, such as "migrator", also beside `settings`; None is the app's,
            which must not be able to do more than the app needs.
        settings: use these, and load none.
        keyring: use this one instead of the settings' key provider; the caller closes it.
        tenant: the tenant outside of `acting_as(tenant=)`; by default that of the settings.
        **options: for `sqlalchemy.create_engine`.

    Raises:
        ConfigurationError: a setting that is missing or cannot work, or another driver.

    Example:
        >>> engine = create_engine("sqlite://", keyring=getfixture("vaultdb_keyring"))

    """
    settings, database = _settings(url, profile, role, settings, keyring)
    address, arguments = _connecting(database, options, is_async=False)
    credentials = None if settings is None else Credentials(settings)
    engine = sqlalchemy.create_engine(address, connect_args=arguments, **options)
    attach(engine, database, credentials)
    if settings is not None and role in APPLICATIONS:
        refuse_excess_rights(engine, settings)
    return prepare(
        engine,
        settings=settings,
        credentials=credentials,
        keyring=keyring,
        tenant=tenant,
        role=role,
    )


def create_async_engine(
    url: str | URL | None = None,
    *,
    profile: str | None = None,
    role: Role | None = None,
    settings: Settings | None = None,
    keyring: Keyring | None = None,
    tenant: str | None = None,
    **options: Any,
) -> AsyncEngine:
    """Make an async engine for encrypted columns; see `create_engine`."""
    settings, database = _settings(url, profile, role, settings, keyring)
    address, arguments = _connecting(database, options, is_async=True)
    credentials = None if settings is None else Credentials(settings)
    engine = asyncio.create_async_engine(address, connect_args=arguments, **options)
    attach(engine.sync_engine, database, credentials)
    if settings is not None and role in APPLICATIONS:
        refuse_excess_rights(engine.sync_engine, settings)
    return prepare(
        engine,
        settings=settings,
        credentials=credentials,
        keyring=keyring,
        tenant=tenant,
        role=role,
    )


def _settings(
    url: str | URL | None,
    profile: str | None,
    role: Role | None,
    settings: Settings | None,
    keyring: Keyring | None,
) -> tuple[Settings | None, DatabaseSettings]:
    if settings is None and (url is None or keyring is None):
        settings = Settings.load(profile=profile, role=role)
    database = DatabaseSettings.model_validate({}) if settings is None else settings.database
    if url is None:
        return settings, database
    text = url.render_as_string(hide_password=False) if isinstance(url, URL) else url
    changed: dict[str, Any] = {"url": SecretStr(text)}
    if normalise_url(text).username:
        changed["lease"] = None  # as in the layers of settings: a URL with a user is a login
    database = database.model_copy(update=changed)
    if settings is not None:
        settings = settings.model_copy(update={"database": database})
    return settings, database


def _connecting(
    database: DatabaseSettings, options: dict[str, Any], *, is_async: bool
) -> tuple[URL, dict[str, Any]]:
    """Return the URL and the driver's arguments; the caller's own arguments win."""
    address, arguments = connect_arguments(database, is_async=is_async)
    options.setdefault("hide_parameters", True)
    return address, arguments | options.pop("connect_args", {})
