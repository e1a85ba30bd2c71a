"""The roles and databases of the private PostgreSQL, by the same code that users run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy import Connection, NullPool, create_engine

from vaultdb.db.role_names import RoleNames
from vaultdb.provision.postgres_setup import postgres
from vaultdb.provision.postgres_spec import PostgresSpec, all_logins
from vaultdb.roles.static_logins import engine_login

NAMES = RoleNames()
LOGINS = all_logins(NAMES)
"""The static logins."""

ENGINE = engine_login(NAMES)
"""The login of the private Vault's database engine."""


def set_up_database(conninfo: str, passwords: Mapping[str, str]) -> None:
    """Create roles, logins and the engine's login, and open the database to them.

    Args:
        conninfo: of a superuser in the database.
        passwords: secret, by login; the engine's is set anew.

    """
    spec = PostgresSpec(
        NAMES,
        logins=LOGINS,
        passwords=passwords,
        # on 15 this is as much as a superuser: that of a private server, which is there to try out
        accept_createrole=True,
        reset_engine=True,
    )
    with administrator(conninfo) as connection:
        postgres(connection, spec)


@contextmanager
def administrator(conninfo: str) -> Iterator[Connection]:
    """Give a connection of SQLAlchemy's and close it afterwards."""
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(conninfo),
        poolclass=NullPool,
        hide_parameters=True,
    )
    with engine.connect() as connection:
        yield connection


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
