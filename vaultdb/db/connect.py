"""From settings to a connection: URL, arguments for the driver, and the check afterwards."""

from __future__ import annotations

import warnings
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.engine import URL

from vaultdb.db.client_certificate import attach_certificate
from vaultdb.db.cursor import AsyncExtendedCursor, ExtendedCursor
from vaultdb.db.login.attach import attach_login
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.login.fixed import FixedLogin
from vaultdb.db.own_path import own_path_options
from vaultdb.db.tls import Transport, TransportWarning, transport_for
from vaultdb.db.tls_check import check_transport
from vaultdb.db.url import normalise_url
from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings, Settings

__all__ = [
    "TransportWarning",
    "attach",
    "connect_arguments",
    "new_engine",
]


def connect_arguments(
    settings: DatabaseSettings, *, is_async: bool = False
) -> tuple[URL, dict[str, Any]]:
    """Return the URL and the `connect_args` for SQLAlchemy's `create_engine`.

    The password of `password_file` is not among them: `attach` reads it at each connection.

    Args:
        settings: the `[database]` section.
        is_async: for `create_async_engine`.

    Raises:
        ConfigurationError: no URL, another driver, or TLS weaker than allowed.

    """
    url = _url(settings)
    if url.get_backend_name() == "sqlite":
        return url, {}
    transport = transport_for(url, settings)
    for note in transport.notes:
        warnings.warn(note, TransportWarning, stacklevel=2)
    return transport.url, _arguments(transport, settings, is_async=is_async)


def attach(
    engine: Engine, settings: DatabaseSettings, credentials: Credentials | None = None
) -> None:
    """Give `engine` its login and certificate at each new connection, and check TLS around it.

    Args:
        engine: made with `connect_arguments`; the `sync_engine` of an async one.
        settings: the section that it was made with.
        credentials: of the same settings, closed by the caller; needed for what Vault lends.

    Raises:
        ConfigurationError: Vault is to lend a login or a certificate, and nobody is to ask it.

    """
    if engine.dialect.name != "postgresql":
        return
    check_transport(engine, transport_for(_url(settings), settings))
    has_password = settings.password is not None or settings.password_file is not None
    leases = settings.lease is not None and not has_password
    if credentials is None and (leases or settings.certificate_role is not None):
        raise ConfigurationError(
            "database.lease and certificate_role need the settings of vault, too: pass all"
            " settings, not their database section"
        )
    if credentials is not None and settings.certificate_role is not None:
        attach_certificate(engine, settings, credentials.client)
    if has_password:
        attach_login(engine, FixedLogin(settings))
    elif credentials is not None and leases:
        attach_login(engine, credentials.login)


def new_engine(
    settings: Settings | DatabaseSettings,
    *,
    credentials: Credentials | None = None,
    searches_models: bool = True,
    **options: Any,
) -> Engine:
    """Return an engine for vaultdb's own statements; without a pool unless `options` say so.

    Args:
        settings: all of them; their `[database]` section alone is enough for a fixed login.
        credentials: share these, which the caller closes; without them what Vault lends to this
            engine is given back when it is disposed of, or at the end of the process.
        searches_models: False for an administrator: nothing that others made stands in the place of
            what PostgreSQL has, not even in the driver's first questions.
        **options: for `sqlalchemy.create_engine`.

    """
    database = settings.database if isinstance(settings, Settings) else settings
    url, arguments = connect_arguments(database)
    options.setdefault("poolclass", NullPool)
    if not searches_models:
        options["use_native_hstore"] = False  # the driver asks for its type when it connects
        if database.pooler == "none":  # which would refuse the options
            arguments |= own_path_options(url.query.get("options"))
    # A statement of ours with its parameters must not end up in an error text.
    engine = create_engine(url, connect_args=arguments, hide_parameters=True, **options)
    if credentials is None and isinstance(settings, Settings):
        own = credentials = Credentials(settings)
        event.listen(engine, "engine_disposed", lambda _engine: own.close())
    attach(engine, database, credentials)
    return engine


def _url(settings: DatabaseSettings) -> URL:
    if settings.url is None:
        raise ConfigurationError(
            "setting database.url is missing: set VAULTDB_URL, or url in [database] of vaultdb.toml"
        )
    return normalise_url(settings.url.get_secret_value())


def _arguments(
    transport: Transport, settings: DatabaseSettings, *, is_async: bool
) -> dict[str, Any]:
    arguments = {
        **transport.arguments,
        "cursor_factory": AsyncExtendedCursor if is_async else ExtendedCursor,
        "connect_timeout": settings.connect_timeout,
    }
    if settings.pooler == "pgbouncer":
        # The next transaction may meet another server, which knows none of our statements.
        arguments["prepare_threshold"] = None
    return arguments
