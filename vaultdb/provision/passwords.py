"""Passwords of logins: only SCRAM verifiers are sent, so that no server log can hold one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from psycopg import sql
from sqlalchemy import Connection, text

from vaultdb.errors import ConfigurationError

PASSWORD_BYTES = 24
"""Random bytes of a generated password: 192 bits, as there is no need to type one."""

_VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)")
_STORED = text("SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY(:logins)")


def stored_verifiers(connection: Connection, logins: Iterable[str]) -> dict[str, str | None]:
    """Return what PostgreSQL stores for logins that exist; only a superuser may see it."""
    rows = connection.execute(_STORED, {"logins": list(logins)})
    return {name: verifier for name, verifier in rows}  # noqa: C416  # rows are no pairs


def is_verified_by(verifier: str | None, password: str) -> bool:
    """Whether a stored SCRAM verifier is this password's (RFC 5802, section 3)."""
    match = _VERIFIER.fullmatch(verifier or "")
    if match is None:
        return False
    iterations, salt, stored, _ = match.groups()
    salted = hashlib.pbkdf2_hmac(
        "sha256", password.encode(), base64.b64decode(salt), int(iterations)
    )
    key = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(hashlib.sha256(key).digest(), base64.b64decode(stored))


def set_password(connection: Connection, login: str, password: str) -> None:
    """Set the password (secret) of a login."""
    driver = connection.connection.driver_connection
    assert driver is not None
    verifier = driver.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(login), sql.Literal(verifier.decode())
    )
    connection.exec_driver_sql(statement.as_string(None), execution_options={"no_parameters": True})


def password_file(folder: Path, login: str) -> Path:
    """Return the file for a login's password."""
    return folder / f"{quote(login, safe=' ')}.password"


def read_or_generate(folder: Path, logins: Iterable[str], *, generate: bool) -> dict[str, str]:
    """Return the passwords (secret) of logins from files; make those that are missing.

    Args:
        folder: with one file for each login.
        logins: unquoted.
        generate: write a new password, mode 0600, where there is no file.

    Raises:
        ConfigurationError: a file cannot be read or written, or is empty.

    """
    found = {}
    for login in logins:
        path = password_file(folder, login)
        try:
            if path.exists():
                found[login] = path.read_text(encoding="utf-8").rstrip("\r\n")
            elif generate:
                found[login] = secrets.token_urlsafe(PASSWORD_BYTES)
                write_secret(path, found[login])
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise ConfigurationError(f"cannot use {path}: {reason}") from None
        if found.get(login) == "":
            raise ConfigurationError(f"{path} is empty: write a password into it, or delete it")
    return found


def write_secret(path: Path, secret: str) -> None:
    """Write a secret to a file that only its owner may read, all of it or nothing.

    Raises:
        OSError: it cannot be written.

    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(secret + "\n")
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
