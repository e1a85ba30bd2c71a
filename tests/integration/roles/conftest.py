"""Databases for tests of roles: roles are shared by a server, so each test has its own prefix."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from psycopg import sql
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    NullPool,
    Table,
    Text,
    create_engine,
    text,
)

from tests.fixtures.postgres import Database, Postgres
from tests.integration.roles.tables import created
from vaultdb import Encrypted, Equality, access
from vaultdb.alembic import own
from vaultdb.db.cursor import ExtendedCursor
from vaultdb.db.role_names import RoleNames
from vaultdb.dev.databases import create_database
from vaultdb.roles.apply import apply
from vaultdb.roles.static_logins import static_logins


@dataclass
class Place:
    """A plain database and a prefix of its own."""

    database: Database
    names: RoleNames

    @property
    def major(self) -> int:
        return self.database.postgres.major

    def engine(self, url: str | None = None) -> Engine:
        url = (url or self.database.admin_url).replace("postgresql://", "postgresql+psycopg://", 1)
        return create_engine(
            url, poolclass=NullPool, connect_args={"cursor_factory": ExtendedCursor}
        )

    def run(self, *statements: str) -> None:
        """Run statements as the superuser."""
        with self.database.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def url_for(self, login: str) -> str:
        """Return the URL of a login, which gets a password for it."""
        password = secrets.token_hex(8)
        with self.database.connect() as connection:
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(login), sql.Literal(password)
                )
            )
        self.database.postgres.passwords[login] = password
        return self.database.url_for(login)


def _plain_database(postgres: Postgres) -> Database:
    """Create a database that nothing has been granted in."""
    name = f"test_{secrets.token_hex(6)}"
    with Database(postgres, "postgres").connect() as connection:
        create_database(connection, name)
    return Database(postgres, name)


def _drop_roles(postgres: Postgres, prefix: str) -> None:
    database = Database(postgres, "postgres")
    with database.connect() as connection:
        found = connection.execute(
            "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [prefix]
        ).fetchall()
        for (role,) in found:
            name = sql.Identifier(role)
            connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
            connection.execute(sql.SQL("DROP ROLE {}").format(name))


@contextmanager
def _place(postgres: Postgres) -> Iterator[Place]:
    prefix = f"t{secrets.token_hex(4)}_"
    database = _plain_database(postgres)
    yield Place(database, RoleNames(prefix))
    postgres.drop_database(database.name)
    _drop_roles(postgres, prefix)


@pytest.fixture
def place(any_postgres: Postgres) -> Iterator[Place]:
    """An empty database on each of the servers, with a prefix whose roles are dropped after."""
    with _place(any_postgres) as place:
        yield place


@pytest.fixture
def here(postgres: Postgres) -> Iterator[Place]:
    """The same on one server, for what does not depend on the version."""
    with _place(postgres) as place:
        yield place


@pytest.fixture
def admin(place: Place) -> Iterator[Connection]:
    """The superuser in `place`."""
    with place.engine().connect() as connection:
        yield connection


@pytest.fixture
def admin_here(here: Place) -> Iterator[Connection]:
    """The superuser in `here`."""
    with here.engine().connect() as connection:
        yield connection


METADATA = MetaData(schema="clinic")
PATIENT = Table(
    "patient",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("ssn", Encrypted(str, index=Equality()), nullable=False),
    Column("note", Text),
)
access(PATIENT, tenant="tenant_id")
VISIT = Table("visit", METADATA, Column("id", Integer, primary_key=True), Column("note", Text))
access(VISIT, rw="select insert", ro=["id"])


@pytest.fixture(scope="session")
def standing(any_postgres: Postgres) -> Iterator[Place]:
    """A database that is as it shall be: roles applied, migrated, two declared tables.

    It is shared: what a test does to it, the test rolls back.
    """
    prefix = f"s{secrets.token_hex(4)}_"
    database = _plain_database(any_postgres)
    place = Place(database, RoleNames(prefix))
    logins = [login.name for login in static_logins(place.names)]
    with place.engine().connect() as connection:
        apply(connection, None, place.names, logins=logins)
    url = place.url_for(f"{prefix}migrator")
    own.upgrade(url, realm=database.realm, names=place.names)
    with place.engine(url).begin() as connection:
        connection.execute(text("CREATE SCHEMA clinic"))
        METADATA.create_all(connection)
    place.run(f"CREATE ROLE {prefix}intern LOGIN")
    with place.engine().connect() as connection:
        assert not apply(connection, METADATA, place.names).left
    yield place
    any_postgres.drop_database(database.name)
    _drop_roles(any_postgres, prefix)


@pytest.fixture(scope="module")
def ungranted(any_postgres: Postgres) -> Iterator[Engine]:
    """The tables of `tables`, owned by vaultdb_owner; nothing is granted."""
    with created(any_postgres) as engine:
        yield engine


@pytest.fixture
def connection(ungranted: Engine) -> Iterator[Connection]:
    """A superuser's transaction in them that is rolled back."""
    with ungranted.connect() as connection:
        yield connection
