"""What libpq is told about TLS and the login, and why a URL that says less is refused.

Every option that decides who is trusted is passed explicitly: an argument wins over a `PG*`
variable and over a service file, so neither can weaken a connection unseen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy.engine import URL

from vaultdb.db.tls_files import FILES, refuse_text_for_files
from vaultdb.db.tls_options import GUARDED, STRONG, is_weaker, reasons
from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings

REQUIRE_AUTH_SINCE = 160000
"""The first libpq that knows `require_auth` and `sslcertmode`; before it `channel_binding` alone
forces SCRAM."""
KEY_LOG_SINCE = 180000
"""The first libpq that knows `sslkeylogfile`."""

# Taken out of the URL, so that nothing weaker reaches libpq unseen.
_OWNED = (*GUARDED, *FILES, "gssencmode")
_NOT_LIBPQ = {
    "ssl": "that is another driver's word; write sslmode=verify-full or nothing",
    "conninfo": "it would carry other options past this check; write them one by one",
}

# PgBouncer ends TLS and SCRAM itself and offers no channel binding.
_POOLER = (
    "database.pooler is pgbouncer: no channel binding, no prepared statements, and TLS is checked"
    " only up to the pooler; secure the hop behind it yourself"
)


class TransportWarning(UserWarning):
    """The connection to PostgreSQL gives less than vaultdb's default; the text says what."""


@dataclass(frozen=True, slots=True)
class Transport:
    """How one URL is connected."""

    url: URL
    """Without the TLS options, which are in `arguments`."""
    arguments: dict[str, Any] = field(repr=False)
    is_checked: bool
    """Whether the server is asked after each connect what it sees of all this."""
    notes: tuple[str, ...] = ()
    """What is weaker than the default, to be said aloud."""
    may_differ: bool = False
    """Whether the caller's own arguments may be weaker: `allow_insecure` is set."""


def transport_for(url: URL, settings: DatabaseSettings) -> Transport:
    """Decide on TLS for a PostgreSQL URL.

    Over TCP: `sslmode=verify-full`, TLS 1.3, `channel_binding=require` and
    `require_auth=scram-sha-256`. A client certificate must be used when there is one; without a
    password it is the login itself, and the last two cannot be asked for. Over a Unix socket the
    kernel does what TLS would, and all but the first are left out.

    Raises:
        ConfigurationError: the URL asks for less and `allow_insecure` is not set.

    """
    _refuse_strangers(url)
    said = _said(url)
    url = url.difference_update_query(_OWNED)
    files = _files(settings, said)
    if settings.certificate_role and files.get("sslcert"):
        raise ConfigurationError(
            "database.certificate_role and sslcert contradict each other; set only one of them"
        )
    refuse_text_for_files(files)
    if _is_socket(url):
        # libpq ignores sslmode for a socket; it stays for a host that a service file names.
        return Transport(url, {"sslmode": "verify-full", "gssencmode": "disable", **files}, False)
    wanted = _wanted(settings, url, has_certificate=_has_certificate(settings, files))
    notes = []
    if settings.pooler == "pgbouncer":
        wanted["channel_binding"] = "disable"
        said.pop("channel_binding", None)
        notes.append(_POOLER)
    if settings.allow_insecure:
        chosen, lost = _as_said(wanted, said)
        notes += lost
    else:
        _refuse_weaker(wanted, said)
        chosen = wanted | _stronger(wanted, said) | _without_limits()
    arguments: dict[str, Any] = {"gssencmode": "disable", **files, **chosen}
    is_checked = chosen.get("sslmode") == "verify-full" and settings.pooler == "none"
    return Transport(url, arguments, is_checked, tuple(notes), settings.allow_insecure)


def _refuse_strangers(url: URL) -> None:
    for key, problem in _NOT_LIBPQ.items():
        if key in url.query:
            raise ConfigurationError(f"database.url has the option {key}: {problem}")


def _said(url: URL) -> dict[str, str]:
    said = {}
    for key in _OWNED:
        value = url.query.get(key)
        if isinstance(value, tuple):
            raise ConfigurationError(f"database.url says {key} more than once; say it once")
        if value is not None:
            said[key] = value
    return said


def _is_socket(url: URL) -> bool:
    """Whether every host is a Unix socket; libpq takes one when no host is named at all."""
    # SQLAlchemy passes both on, and libpq's choice is not ours to guess.
    both = [*_listed(url.host), *_listed(url.query.get("host"))]
    named = both or _listed(os.environ.get("PGHOST"))
    if not named and (url.query.get("service") or os.environ.get("PGSERVICE")):
        return False  # the service file may name any host
    address = url.query.get("hostaddr") or os.environ.get("PGHOSTADDR")
    return not address and all(not host or host.startswith(("/", "@")) for host in named)


def _listed(hosts: str | tuple[str, ...] | None) -> list[str]:
    parts = hosts if isinstance(hosts, tuple) else (hosts or "",)
    return [host for part in parts if part for host in part.split(",")]


def _files(settings: DatabaseSettings, said: Mapping[str, str]) -> dict[str, str]:
    chosen = {
        "sslrootcert": settings.sslrootcert,
        "sslcert": settings.sslcert,
        "sslkey": settings.sslkey,
    }
    files = {key: str(chosen[key]) if chosen.get(key) else said.get(key, "") for key in FILES}
    return {key: value for key, value in files.items() if value}


def _has_certificate(settings: DatabaseSettings, files: Mapping[str, str]) -> bool:
    return bool(settings.certificate_role or files.get("sslcert") or os.environ.get("PGSSLCERT"))


def _has_password(settings: DatabaseSettings, url: URL) -> bool:
    said = (url.password, url.query.get("password"), url.query.get("passfile"))
    given = (settings.password, settings.password_file, settings.lease)
    environment = (os.environ.get("PGPASSWORD"), os.environ.get("PGPASSFILE"))
    return any(bool(each) for each in (*said, *given, *environment))


def _wanted(settings: DatabaseSettings, url: URL, *, has_certificate: bool) -> dict[str, str]:
    wanted = dict(STRONG)
    if has_certificate:
        wanted["sslcertmode"] = "require"
        if not _has_password(settings, url):
            # The server asks for nothing then, unless ~/.pgpass has a password for it.
            wanted |= {"channel_binding": "prefer", "require_auth": "scram-sha-256,none"}
    if psycopg.pq.version() < REQUIRE_AUTH_SINCE:
        wanted.pop("sslcertmode", None)
        del wanted["require_auth"]
    return wanted


def _without_limits() -> dict[str, str]:
    """Return what undoes a variable or a service file that would limit or reveal: no value."""
    unset = {"ssl_max_protocol_version": ""}
    return unset | ({"sslkeylogfile": ""} if psycopg.pq.version() >= KEY_LOG_SINCE else {})


def _refuse_weaker(wanted: Mapping[str, str], said: Mapping[str, str]) -> None:
    compared = {**wanted, "ssl_max_protocol_version": "", "sslkeylogfile": ""}
    weaker = {
        key: said[key]
        for key in compared
        if key in said and is_weaker(key, said[key], compared[key])
    }
    if weaker:
        defaults = [f"{key}={compared[key]}" for key in weaker if compared[key]]
        note = f" ({', '.join(defaults)} is the default)" if defaults else ""
        raise ConfigurationError(
            f"database.url says {reasons(weaker)}; remove it{note},"
            " or set VAULTDB_ALLOW_INSECURE=true"
        )


def _stronger(wanted: Mapping[str, str], said: Mapping[str, str]) -> dict[str, str]:
    return {key: said[key] for key in wanted if key in said}


def _as_said(
    wanted: Mapping[str, str], said: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return what the URL says, the rest left to libpq, and a note about what is lost."""
    chosen = {key: said[key] for key in GUARDED if key in said}
    if "channel_binding" in wanted and wanted["channel_binding"] == "disable":
        chosen["channel_binding"] = "disable"
    lost = [
        f"{key}={chosen.get(key, 'default')}"
        for key in wanted
        if is_weaker(key, chosen.get(key, ""), wanted[key])
    ]
    if not lost:
        return chosen, []
    note = (
        f"database.allow_insecure is set: connecting with {', '.join(lost)}; whoever is on the"
        " network may read the login and the rows"
    )
    return chosen, [note]
