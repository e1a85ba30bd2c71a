"""One migrated database and one prepared engine for the tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

import vaultdb
from tests.fixtures.postgres import Database, Postgres
from tests.integration.orm.claimed import guarded_database, guarded_engine
from tests.integration.orm.models import Base
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.vault.providers.memory import MemoryProvider


@pytest.fixture(scope="package")
def new_keyring(realm) -> Callable[[], Keyring]:
    """Make keyrings over the same keys; a new one has not unwrapped any yet."""
    provider, store = MemoryProvider(), MemoryKeyStore()
    return lambda: Keyring(realm=realm, provider=provider, store=store, create_keys=True)


@pytest.fixture(scope="package")
def keyring(new_keyring) -> Iterator[Keyring]:
    keyring = new_keyring()
    yield keyring
    keyring.close()


@pytest.fixture(scope="package")
def matrix(postgres: Postgres) -> Iterator[Database]:
    """The database of the matrix, with the tables of `models`."""
    database = postgres.create_database()
    with database.connect() as connection:
        connection.execute('CREATE SCHEMA "Odd Schema" AUTHORIZATION vaultdb_owner')
        connection.execute("CREATE SCHEMA branch AUTHORIZATION vaultdb_owner")
    database.create_all(Base.metadata)
    yield database
    postgres.drop_database(database.name)


@pytest.fixture(scope="package")
def engine(matrix: Database, keyring: Keyring) -> Iterator[Engine]:
    engine = create_engine(matrix.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session whose work is rolled back at the end, commits too."""
    with engine.connect() as connection:
        transaction = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


@pytest.fixture
def sent(engine: Engine) -> Iterator[list[str]]:
    """Every statement that reaches a cursor of the engine."""
    statements: list[str] = []

    def note(_connection, _cursor, statement, *_):
        if "SAVEPOINT" not in statement:  # the session fixture's own
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture(scope="module")
def guarded(postgres: Postgres) -> Iterator[Database]:
    """The database of the tests of claims, with the tables of `claimed`."""
    with guarded_database(postgres) as database:
        yield database


@pytest.fixture
def claimed_engine(guarded: Database, keyring: Keyring) -> Iterator[Engine]:
    """An engine on one connection to it, with rows of two tenants."""
    with guarded_engine(guarded, keyring) as engine:
        yield engine
