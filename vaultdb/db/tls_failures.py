"""One clear line for a connection that TLS or the login ended.

libpq calls every certificate that it does not accept "certificate verify failed": expired, of an
authority that is not ours, not yet valid. Which of them it is can be found out by asking again.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import struct
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from vaultdb.db.failures import connection_problem
from vaultdb.db.login.attach import off_the_loop

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext

    from vaultdb.db.tls import Transport

PROBE_TIMEOUT = 2.0
"""Seconds for the second look at a certificate that libpq refused."""

_REQUEST_TLS = struct.pack("!II", 8, 80877103)  # SSLRequest of PostgreSQL's protocol 3.0
_ACCEPTED = b"S"
_UNTRUSTED = "certificate verify failed"
# PostgreSQL says so, too, when clientcert=verify-full finds another name in the certificate.
_WRONG_PASSWORD = "password authentication failed"  # noqa: S105  # no password
_OR_WRONG_NAME = ", or use a certificate whose common name is the login"
_UNKNOWN = "expired, or of another authority"
_SERVER = re.compile(r'server at "(?P<host>[^"]+)"(?: \((?P<address>[^)]+)\))?, port (?P<port>\d+)')


def explain_failures(engine: Engine, transport: Transport) -> None:
    """Give each failed connect of `engine` one line that says what to do.

    The exception stays what it was: psycopg's `OperationalError` in SQLAlchemy's.
    """

    @event.listens_for(engine, "handle_error")
    def explain(context: ExceptionContext) -> None:
        error = context.original_exception
        if context.connection is not None or not isinstance(error, psycopg.Error):
            return
        if error.diag.sqlstate is not None:
            return  # not libpq's, but of a statement after the connect
        text = str(error)
        if _UNTRUSTED in text:
            reason = off_the_loop(partial(why_untrusted, text, transport))
            error.args = (text.replace(_UNTRUSTED, f"{_UNTRUSTED}: {reason}"),)
        text = connection_problem(error)
        if _WRONG_PASSWORD in text and transport.arguments.get("sslcertmode") == "require":
            text += _OR_WRONG_NAME
        error.args = (text,)
        if isinstance(context.sqlalchemy_exception, DBAPIError):
            kind = type(error)
            context.sqlalchemy_exception.args = (f"({kind.__module__}.{kind.__name__}) {text}",)


def why_untrusted(failure: str, transport: Transport) -> str:
    """Return OpenSSL's reason for refusing a server's certificate, as far as it gives one.

    Args:
        failure: libpq's text, which names the server.
        transport: holds the authorities that are trusted.

    """
    place = _SERVER.search(failure)
    if place is None:
        return _UNKNOWN
    try:
        context = _context(str(transport.arguments.get("sslrootcert") or ""))
        address = (place["address"] or place["host"], int(place["port"]))
        with socket.create_connection(address, timeout=PROBE_TIMEOUT) as plain:
            plain.sendall(_REQUEST_TLS)
            if plain.recv(1) == _ACCEPTED:
                context.wrap_socket(plain, server_hostname=place["host"]).close()
    except ssl.SSLCertVerificationError as error:
        return str(error.verify_message)
    except (OSError, ValueError):
        pass
    return _UNKNOWN


def _context(authorities: str) -> ssl.SSLContext:
    """Trust what libpq trusts: the setting, else the variable, else the file of the user."""
    default = Path("~/.postgresql/root.crt").expanduser()
    file = authorities or os.environ.get("PGSSLROOTCERT") or str(default)
    return ssl.create_default_context(cafile=None if file == "system" else file)
