"""Put the errors of PostgreSQL's driver into one line that says what to do.

What the server says about a statement can quote values (`DETAIL: Key (ssn)=(…)`), so only the
primary message is used, and never for the user's own statements.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from vaultdb.errors import ConfigurationError, KeyUnavailable, SchemaError, VaultDBError

_NOT_MIGRATED = frozenset({"42P01", "3F000", "42883", "42703"})  # table, schema, function, column
_NO_PRIVILEGE = frozenset({"42501"})
_LOCKED = frozenset({"55P03"})

# What libpq says when it cannot connect, and what to do; it has no SQLSTATE for most of these.
_CONNECTING = (
    ('authentication failed for user "v_', "is it the server that vault's database engine uses?"),
    ("password authentication failed", "correct the login's password (VAULTDB_PASSWORD_FILE)"),
    ("no password supplied", "set VAULTDB_PASSWORD_FILE"),
    ("root certificate file", "set VAULTDB_SSLROOTCERT to the CA that signed the server"),
    ("verify failed: certificate has expired", "renew the server's certificate"),
    ("verify failed: certificate is not yet", "set the clocks, or renew the server's certificate"),
    ("certificate verify failed", "set VAULTDB_SSLROOTCERT to the CA that signed the server"),
    ("does not match host name", "use the name that the server's certificate has"),
    ("server does not support SSL", "switch TLS on there, or set VAULTDB_ALLOW_INSECURE=true"),
    ("alert protocol version", "let the server speak TLS 1.3 (ssl_max_protocol_version)"),
    ("alert certificate expired", "renew the client certificate (VAULTDB_SSLCERT)"),
    ("alert certificate revoked", "use another client certificate: this one is revoked"),
    ("alert unknown ca", "use a client certificate of an authority in the server's ssl_ca_file"),
    ("valid client certificate", "set VAULTDB_SSLCERT and VAULTDB_SSLKEY"),
    ("certificate authentication failed", "use a certificate whose common name is the login"),
    ("not request an SSL certificate", "set ssl_ca_file there, or use no client certificate"),
    ("server did not complete auth", "write scram-sha-256 for the login in its pg_hba.conf"),
    ("channel binding", "use SCRAM over TLS, or set database.pooler when a pooler is in between"),
    ("no pg_hba.conf entry", "let pg_hba.conf admit the login over TLS"),
    ("does not exist", "create it, or correct VAULTDB_URL or the role's own"),
    ("Connection refused", "start the server, or correct VAULTDB_URL or the role's own"),
    ("could not translate host name", "correct the host in VAULTDB_URL or the role's own"),
    ("failed to resolve host", "correct the host in VAULTDB_URL or the role's own"),
    ("on socket", "start the server, or correct the host in VAULTDB_URL or the role's own"),
    ("timeout expired", "correct the host in VAULTDB_URL, or look at the firewall"),
)


@contextmanager
def plain_failures(
    doing: str, *, unavailable: type[VaultDBError] = KeyUnavailable
) -> Iterator[None]:
    """Turn errors of SQLAlchemy and psycopg into vaultdb's own, without a cause that could leak.

    Args:
        doing: what was attempted, as in "cannot {doing}: …".
        unavailable: raised when the server cannot be reached.

    Raises:
        SchemaError: a table of vaultdb does not exist.
        ConfigurationError: the login lacks a privilege, or the statement failed otherwise.

    """
    try:
        yield
    except (SQLAlchemyError, psycopg.Error) as error:
        raise translated(error, doing, unavailable) from None


def translated(
    error: BaseException, doing: str, unavailable: type[VaultDBError] = KeyUnavailable
) -> VaultDBError:
    """Return the error to raise in place of `error`."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(original, psycopg.Error):
        is_full = isinstance(error, PoolTimeout)
        problem = (
            "all connections for that are busy; try again" if is_full else type(error).__name__
        )
        return (unavailable if is_full else ConfigurationError)(f"cannot {doing}: {problem}")
    state = original.sqlstate
    message = original.diag.message_primary or ""
    if state in _NOT_MIGRATED:
        return SchemaError(
            f"cannot {doing}: the database has not been migrated ({message});"
            " run: vaultdb migrate up"
        )
    if state in _NO_PRIVILEGE:
        return ConfigurationError(
            f"cannot {doing}: {message}; use a login that is a member of the capability role, and"
            " run: vaultdb migrate up (it grants to the roles that exist)"
        )
    if state in _LOCKED:
        return unavailable(
            f"cannot {doing}: another session holds a lock on the table; try again when its"
            " transaction has ended (see pg_blocking_pids and pg_stat_activity)"
        )
    if state is None or state.startswith(("08", "57", "53", "28", "3D")):
        return unavailable(f"cannot {doing}: {connection_problem(original)}")
    return ConfigurationError(f"cannot {doing}: PostgreSQL says {message} ({state})")


def connection_problem(error: psycopg.Error) -> str:
    """Return libpq's last line about a failed connection, with a remedy."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = next((line for line in lines if "failed" in line or "FATAL" in line), None)
    text = text or (lines[0] if lines else type(error).__name__)
    text = text.removeprefix("connection failed: ").removeprefix("connection is bad: ")
    remedy = next((remedy for mark, remedy in _CONNECTING if mark in str(error)), None)
    return f"{text}; {remedy}" if remedy and remedy not in text else text
