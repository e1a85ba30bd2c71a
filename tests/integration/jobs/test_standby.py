"""A job waits for a real replica that is behind, and goes on when it has caught up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Integer

from tests.fixtures.postgres import Database, Postgres
from tests.fixtures.standby import standby_of
from tests.integration.jobs.people import fill, key_ids, table_of
from vaultdb.dev.postgres import PostgresServer
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.reencrypt.target import reencrypt_spec
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.pace import Pace
from vaultdb.jobs.work.runner import run_job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.task import Tools

ROWS = 400
LAG = 1.0


@pytest.fixture
def database(own_postgres: Postgres) -> Database:
    return own_postgres.create_database()


@pytest.fixture
def standby(own_postgres: Postgres, database: Database, server_folder) -> Iterator[PostgresServer]:
    with standby_of(own_postgres, server_folder) as server:
        yield server


class Small(Pace):
    """Batches of ten rows, so that there are many waits to see."""

    @property
    def batch_size(self) -> int:
        return 10


def test_a_job_stands_still_while_the_replica_does(
    database: Database, standby: PostgresServer, engine, store, keys
) -> None:
    table = table_of(("id", Integer()))
    fill(database, keys.app(), table, [(n,) for n in range(ROWS)])
    new = keys.new()
    with database.connect() as admin:
        admin.execute("GRANT pg_read_all_stats TO vaultdb_key_rotator")

    tools = Tools(table.metadata, keys.keyring(), None, engine, Small(max_lag=LAG))
    job = store.start(
        "reencrypt",
        table.fullname,
        reencrypt_spec(table),
        split=lambda c: split_table(c, table, chunk_rows=ROWS),
    )

    def done() -> int:
        return int(store.progress(job.id).changed)

    def slowly() -> float:
        time.sleep(0.05)  # about 200 rows a second: the job outlives the first looks
        return 0.0

    small = tools.throttle
    before = small.before_batch
    small.before_batch = lambda connection: before(connection) or slowly()  # type: ignore[method-assign]
    with psycopg.connect(standby.conninfo(database.name), autocommit=True) as replica:
        replica.execute("SELECT pg_wal_replay_pause()")
        worker = threading.Thread(target=run_job, args=(job.id, tools))
        worker.start()
        time.sleep(LAG + 2.5)
        stood = done()
        time.sleep(2.0)
        assert done() == stood
        assert 0 < stood < ROWS
        replica.execute("SELECT pg_wal_replay_resume()")
        worker.join(60)
    assert store.get(job.id).state is JobState.FINISHED
    assert done() == ROWS
    assert key_ids(database, table, "secret") == {new.key_id}


def test_a_login_that_may_not_look_is_refused_before_a_row_is_touched(
    database: Database, standby: PostgresServer, engine, store, keys
) -> None:
    table = table_of(("id", Integer()))
    fill(database, keys.app(), table, [(n,) for n in range(20)])
    keys.new()
    tools = Tools(table.metadata, keys.keyring(), None, engine, Pace(max_lag=LAG))
    job = store.start(
        "reencrypt",
        table.fullname,
        reencrypt_spec(table),
        split=lambda c: split_table(c, table, chunk_rows=20),
    )
    with pytest.raises(ConfigurationError, match="vaultdb_key_rotator may not see"):
        run_job(job.id, tools)
    assert store.progress(job.id).changed == 0
