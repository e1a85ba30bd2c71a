"""The database URL: bare `postgresql://` means psycopg 3, another driver is refused."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from vaultdb.errors import ConfigurationError

DRIVER = "postgresql+psycopg"

_SAME = frozenset({"postgres", "postgresql", DRIVER, "postgresql+psycopg_async"})
_SQLITE = frozenset({"sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"})


def normalise_url(url: str | URL) -> URL:
    """Return the URL with the driver named.

    SQLite passes as it is: it is for users' tests. A libpq URL without a host means a Unix socket.

    Raises:
        ConfigurationError: not a URL, or a driver other than psycopg 3. The text never quotes the
            URL, which may hold a password.

    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "database.url is not a URL; write postgresql://login@host:5432/database"
            " and give the password in a file"
        ) from None
    if parsed.drivername in _SQLITE:
        return parsed
    if parsed.drivername not in _SAME:
        raise ConfigurationError(
            f"database.url names the driver {parsed.drivername}, vaultdb works with psycopg 3;"
            " write postgresql:// or postgresql+psycopg://"
        )
    return parsed.set(drivername=DRIVER)
