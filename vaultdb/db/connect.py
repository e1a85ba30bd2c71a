"""From settings to a connection: URL, arguments for the driver, and the check afterwards."""

from __future__ import annotations

import warnings
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.engine import URL

from vaultdb.db.cursor import AsyncExtendedCursor, ExtendedCursor
from vaultdb.db.tls import Transport, TransportWarning, transport_for
from vaultdb.db.tls_check import check_transport
from vaultdb.db.url import normalise_url
from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings

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


def attach(engine: Engine, settings: DatabaseSettings) -> None:
    """Read the password at each new connection of `engine` and check TLS afterwards.

    Args:
        engine: made with `connect_arguments`; the `sync_engine` of an async one.
        settings: the section that it was made with.

    """
    if engine.dialect.name != "postgresql":
        return
    check_transport(engine, transport_for(_url(settings), settings))
    if settings.password is not None or settings.password_file is not None:

        @event.listens_for(engine, "do_connect")
        def give_password(
            _dialect: Any, _record: Any, _args: list[Any], parameters: dict[str, Any]
        ) -> None:
            parameters["password"] = settings.read_password()


def new_engine(settings: DatabaseSettings, **options: Any) -> Engine:
    """Return an engine for vaultdb's own statements; without a pool unless `options` say so."""
    url, arguments = connect_arguments(settings)
    options.setdefault("poolclass", NullPool)
    # A statement of ours with its parameters must not end up in an error text.
    engine = create_engine(url, connect_args=arguments, hide_parameters=True, **options)
    attach(engine, settings)
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
