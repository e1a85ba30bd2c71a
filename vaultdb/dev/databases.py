"""The roles and databases of the private PostgreSQL, by the same SQL that users run by hand."""

from __future__ import annotations

from importlib import resources
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

LOGINS = ("vaultdb_migrator", "vaultdb_app", "vaultdb_key_officer", "vaultdb_key_rotator")


def shipped_sql(name: str) -> LiteralString:
    """Return one of the SQL files that ship beside this module."""
    text: Any = resources.files("vaultdb.dev").joinpath("sql", name).read_text(encoding="utf-8")
    return cast("LiteralString", text)  # our own file, not a user's


def create_roles(connection: psycopg.Connection, passwords: dict[str, str]) -> None:
    """Create the roles that are missing and set the login roles' `passwords` (secret).

    Only SCRAM verifiers are sent, so that no server log can hold a password.
    """
    connection.execute(shipped_sql("roles.sql"))
    for role, password in passwords.items():
        verifier = connection.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        )
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(verifier.decode())
            )
        )


def create_database(
    connection: psycopg.Connection, name: str, *, template: str | None = None
) -> None:
    """Create the database `name` unless it exists; `connection` must be in autocommit."""
    found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
    if found is None:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template or "template0")
            )
        )


def open_database(connection: psycopg.Connection) -> None:
    """Grant the roles what they need in the database that `connection` is in."""
    connection.execute(shipped_sql("database.sql"))
