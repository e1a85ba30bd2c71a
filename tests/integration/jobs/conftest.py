"""A database, an engine of the rotator's login, and tools without keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg import sql
from sqlalchemy import Engine, MetaData, QueuePool

from tests.fixtures.postgres import Database
from tests.integration.jobs.keys import Keys
from vaultdb.db.connect import new_engine
from vaultdb.db.role_names import RoleNames
from vaultdb.jobs.reencrypt.target import reencrypt_spec
from vaultdb.jobs.work.runner import run_job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.store import JobStore
from vaultdb.jobs.work.task import Tools
from vaultdb.jobs.work.throttle import NoThrottle
from vaultdb.jobs.work.worker import Patience
from vaultdb.settings import DatabaseSettings

ROTATOR = RoleNames().rotator


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """An engine of the rotator's login."""
    settings = DatabaseSettings.model_validate({"url": database.rotator_url})
    engine = new_engine(settings, poolclass=QueuePool, pool_size=6)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> JobStore:
    return JobStore(engine)


@pytest.fixture
def tools_of(engine: Engine) -> Callable[..., Tools]:
    """Make the tools of a worker without keys."""

    def make(metadata: MetaData | None = None, batch: int = 10) -> Tools:
        return Tools(metadata or MetaData(), None, None, engine, NoThrottle(batch))

    return make


def open_to_rotator(database: Database, *names: str) -> None:
    """Let the rotator read and change whole tables."""
    with database.connect() as connection:
        for name in names:
            statement = sql.SQL("GRANT SELECT, UPDATE ON {} TO {}")
            table, role = sql.Identifier(*name.split(".")), sql.Identifier(ROTATOR)
            connection.execute(statement.format(table, role))


@pytest.fixture
def keys(database: Database) -> Iterator[Keys]:
    """The keys of the database, made in this process."""
    keys = Keys(database)
    yield keys
    keys.close()


@pytest.fixture
def run(store, engine, keys):
    """Start a job for a table and work on it until it is over."""

    def run(table, *, workers=1, batch=7, job=None, **spec):
        tools = Tools(table.metadata, keys.keyring(), None, engine, NoThrottle(batch))
        job = job or store.start(
            "reencrypt",
            table.fullname,
            reencrypt_spec(table, **spec),
            split=lambda c: split_table(c, table, chunk_rows=20),
        )
        return run_job(job.id, tools, workers=workers, patience=Patience(outage=5.0))

    return run
