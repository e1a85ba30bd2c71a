"""What libpq is told about TLS and the login, and why a URL that says less is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy.engine import URL

from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings

REQUIRE_AUTH_SINCE = 160000
"""The first libpq that knows `require_auth`; before it `channel_binding` alone forces SCRAM."""

_STRONG = {"sslmode": "verify-full", "channel_binding": "require", "require_auth": "scram-sha-256"}
_WHY = {
    "sslmode": "does not check who the server is",
    "channel_binding": "lets a machine in the middle replay the login",
    "require_auth": "lets a false server ask for the password itself",
}
# Owned here: taken out of the URL, so that nothing weaker reaches libpq unseen.
_OWNED = (*_STRONG, "sslrootcert", "sslcert", "sslkey", "gssencmode")

# PgBouncer ends TLS and SCRAM itself and offers no channel binding.
_POOLER = (
    "database.pooler is pgbouncer: no channel binding, no prepared statements, and TLS is checked"
    " only up to the pooler; secure the hop behind it yourself"
)


class TransportWarning(UserWarning):
    """The connection to PostgreSQL is weaker than vaultdb's default; the text says how."""


@dataclass(frozen=True, slots=True)
class Transport:
    """How one URL is connected."""

    url: URL
    """Without the TLS options, which are in `arguments`."""
    arguments: dict[str, Any] = field(repr=False)
    is_checked: bool
    """Whether a new connection must be found to use TLS on the server's side too."""
    notes: tuple[str, ...] = ()
    """What is weaker than the default, to be said aloud."""


def transport_for(url: URL, settings: DatabaseSettings) -> Transport:
    """Decide on TLS for a PostgreSQL URL.

    Over TCP: `sslmode=verify-full`, `channel_binding=require`, `require_auth=scram-sha-256`;
    a client certificate without a password is the login itself, so the last two do not apply.
    Over a Unix socket the kernel does what TLS would, and the three are left out.

    Raises:
        ConfigurationError: the URL asks for less and `allow_insecure` is not set.

    """
    said = {key: str(value) for key, value in url.query.items() if key in _OWNED}
    url = url.difference_update_query(_OWNED)
    if _is_socket(url):
        # libpq ignores sslmode for a socket; it stays for a host that a service file names.
        files = _certificates(settings, said)
        return Transport(url, {"sslmode": "verify-full", "gssencmode": "disable", **files}, False)
    arguments: dict[str, Any] = {"gssencmode": "disable", **_certificates(settings, said)}
    wanted = _wanted(settings, url, arguments)
    notes = []
    if settings.pooler == "pgbouncer":
        wanted.pop("channel_binding", None)
        arguments["channel_binding"] = "disable"
        notes.append(_POOLER)
    weaker = {key: said[key] for key in wanted if key in said and said[key] != wanted[key]}
    if weaker and not settings.allow_insecure:
        raise ConfigurationError(_refusal(weaker))
    if settings.allow_insecure:
        wanted, lost = _as_said(wanted, said)
        notes += lost
    arguments |= wanted
    is_checked = arguments.get("sslmode") == "verify-full" and settings.pooler == "none"
    return Transport(url, arguments, is_checked, tuple(notes))


def _is_socket(url: URL) -> bool:
    """Whether every host is a Unix socket; libpq takes one when no host is named at all."""
    named = url.host or url.query.get("host") or os.environ.get("PGHOST") or ""
    hosts = named if isinstance(named, tuple) else tuple(str(named).split(","))
    address = url.query.get("hostaddr") or os.environ.get("PGHOSTADDR")
    return not address and all(not host or host.startswith(("/", "@")) for host in hosts)


def _certificates(settings: DatabaseSettings, said: Mapping[str, str]) -> dict[str, str]:
    chosen = {
        "sslrootcert": settings.sslrootcert,
        "sslcert": settings.sslcert,
        "sslkey": settings.sslkey,
    }
    files = {key: str(value) if value else said.get(key) for key, value in chosen.items()}
    return {key: value for key, value in files.items() if value}


def _wanted(settings: DatabaseSettings, url: URL, files: Mapping[str, str]) -> dict[str, str]:
    wanted = dict(_STRONG)
    has_password = url.password or settings.password or settings.password_file
    if "sslcert" in files and not has_password:
        return {"sslmode": wanted["sslmode"]}
    if psycopg.pq.version() < REQUIRE_AUTH_SINCE:
        del wanted["require_auth"]
    return wanted


def _as_said(
    wanted: Mapping[str, str], said: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return what the URL says, the rest left to libpq, and a note about what is lost."""
    chosen = {key: said[key] for key in wanted if key in said}
    lost = [
        f"{key}={chosen.get(key, 'default')}" for key in wanted if chosen.get(key) != wanted[key]
    ]
    if not lost:
        return chosen, []
    note = (
        f"database.allow_insecure is set: connecting with {', '.join(lost)}; whoever is on the"
        " network may read the login and the rows"
    )
    return chosen, [note]


def _refusal(weaker: Mapping[str, str]) -> str:
    reasons = ", ".join(f"{key}={value}, which {_WHY[key]}" for key, value in weaker.items())
    defaults = ", ".join(f"{key}={_STRONG[key]}" for key in weaker)
    return (
        f"database.url says {reasons}; remove it ({defaults} is the default),"
        " or set VAULTDB_ALLOW_INSECURE=true"
    )
