"""Checks around each connect: an option may be lost on the way, what the server sees is a fact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from vaultdb.db.tls import Transport
from vaultdb.db.tls_failures import explain_failures
from vaultdb.db.tls_files import check_files
from vaultdb.db.tls_options import GUARDED, MINIMUM_TLS, is_weaker, reasons
from vaultdb.errors import ConfigurationError

SYSTEM_USER_SINCE = 160000
"""The first PostgreSQL that tells how a login was proven."""

_TLS = (
    "SELECT ssl, version, client_dn IS NOT NULL, NULL"
    " FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()"
)
# The method is NULL when the server asked for nothing.
_TLS_AND_METHOD = (
    "SELECT ssl, version, client_dn IS NOT NULL, pg_catalog.split_part(system_user, ':', 1)"
    " FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()"
)

_PROOFS = {"scram-sha-256": frozenset({"scram-sha-256", "md5"}), "none": frozenset({"cert"})}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the server says about one connection."""

    tls: bool
    version: str
    certificate: bool
    method: str | None
    knows_method: bool


def check_transport(engine: Engine, transport: Transport) -> None:
    """Check each new connection of `engine` before, and what the server sees of it afterwards.

    Args:
        engine: made with the arguments of `transport`; listen before anything that connects.
        transport: as decided from the settings.

    """

    @event.listens_for(engine, "do_connect")
    def before(
        _dialect: Any, _record: Any, _arguments: list[Any], parameters: dict[str, Any]
    ) -> None:
        if not transport.may_differ:
            _refuse_lost_options(transport, parameters)
        check_files(parameters)

    explain_failures(engine, transport)
    if transport.is_checked:
        event.listen(engine, "connect", connection_check(transport))


def connection_check(
    transport: Transport,
) -> Callable[[DBAPIConnection, ConnectionPoolEntry], None]:
    """Return a listener for "connect" that asks the server what it sees, and closes on less.

    The listener raises `ConfigurationError`.
    """

    def check(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        try:
            problem = _problem(_ask(connection), transport.arguments)
        except BaseException:
            connection.close()  # SQLAlchemy's pool leaves it to the garbage collector
            raise
        if problem:
            connection.close()
            raise ConfigurationError(problem)

    return check


def _refuse_lost_options(transport: Transport, parameters: dict[str, Any]) -> None:
    weaker = {
        option: str(parameters.get(option, "default"))
        for option, wanted in transport.arguments.items()
        if option in GUARDED and is_weaker(option, str(parameters.get(option)), wanted)
    }
    if weaker:
        raise ConfigurationError(
            f"connect_args of the engine say {reasons(weaker)}; remove it from them,"
            " or set VAULTDB_ALLOW_INSECURE=true"
        )


def _ask(connection: DBAPIConnection) -> _Seen:
    driver: Any = getattr(connection, "driver_connection", connection)
    knows_method = driver.info.server_version >= SYSTEM_USER_SINCE
    cursor = connection.cursor()
    try:
        if driver.autocommit:
            cursor.execute("BEGIN")
        # A role set at login, as the migrator's is, may not see the session's own row.
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute(_TLS_AND_METHOD if knows_method else _TLS)
        row = cursor.fetchone() or (False, None, False, None)
        if driver.autocommit:
            cursor.execute("ROLLBACK")
    finally:
        cursor.close()
    connection.rollback()
    return _Seen(bool(row[0]), row[1] or "", bool(row[2]), row[3], knows_method)


def _problem(seen: _Seen, asked: dict[str, Any]) -> str:
    if not seen.tls:
        return (
            "the server says that this connection does not use TLS; a proxy in between ends it:"
            " connect directly, or set database.pooler or allow_insecure"
        )
    if asked.get("ssl_min_protocol_version") == MINIMUM_TLS and seen.version < MINIMUM_TLS:
        return (
            f"the server says that this connection uses {seen.version}, not {MINIMUM_TLS};"
            " a proxy in between ends it: connect directly, or set database.pooler"
        )
    if asked.get("sslcertmode") == "require" and not seen.certificate:
        return (
            "the server has not looked at the client certificate; set clientcert=verify-ca or cert"
            " in its pg_hba.conf"
        )
    methods = str(asked.get("require_auth", ""))
    is_listed = all(method in _PROOFS for method in methods.split(","))
    if seen.knows_method and is_listed and seen.method not in _proofs(methods):
        return (
            f"the server let the login in by {seen.method or 'trust'}, without the proof that was"
            " asked for; write scram-sha-256 or cert in its pg_hba.conf"
        )
    return ""


def _proofs(methods: str) -> frozenset[str]:
    """Return how the server calls what `require_auth` lists, which libpq has enforced.

    `md5` in pg_hba.conf means SCRAM for a password that is stored so; only a certificate needs no
    answer of the client, and `trust` looks the same from there.
    """
    return frozenset().union(*(_PROOFS[method] for method in methods.split(",")))
