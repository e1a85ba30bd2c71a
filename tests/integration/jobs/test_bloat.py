"""A table that is re-encrypted in slices stays smaller than one that is not."""

from __future__ import annotations

import pytest
from sqlalchemy import Integer, insert

from tests.fixtures.postgres import Database, Postgres
from tests.integration.jobs.conftest import open_to_rotator
from tests.integration.jobs.people import table_of
from vaultdb.jobs.reencrypt.target import reencrypt_spec
from vaultdb.jobs.work.dead_rows import DeadRows
from vaultdb.jobs.work.pace import Pace
from vaultdb.jobs.work.runner import run_job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.task import Tools

ROWS = 40_000


@pytest.fixture
def database(own_postgres: Postgres) -> Database:
    with own_postgres.create_database().connect() as connection:
        connection.execute("ALTER SYSTEM SET autovacuum_naptime = 3")
        connection.execute("ALTER SYSTEM SET autovacuum_vacuum_cost_delay = 0")
        connection.execute("SELECT pg_reload_conf()")
    return own_postgres.create_database()


@pytest.mark.chaos
@pytest.mark.slow
def test_waiting_for_autovacuum_keeps_a_table_small(
    database: Database, engine, store, keys
) -> None:
    table = table_of(("id", Integer()))
    database.create_all(table.metadata)
    open_to_rotator(database, table.name)
    with keys.app().begin() as connection:
        rows = [{"id": n, "secret": "x" * 60, "odd": None, "ssn": None} for n in range(ROWS)]
        connection.execute(insert(table), rows)

    def size() -> int:
        with database.connect() as connection:
            ((found,),) = connection.execute("SELECT pg_relation_size('\"Odd table\"')").fetchall()
        return int(found)

    def grown(dead_rows: DeadRows | None, rate: float | None = None) -> float:
        with database.connect() as connection:
            connection.execute('VACUUM FULL ANALYZE "Odd table"')
        before = size()
        keys.new()
        tools = Tools(
            table.metadata,
            keys.keyring(),
            None,
            engine,
            Pace(max_rows_per_second=rate, dead_rows=dead_rows),
        )
        job = store.start(
            "reencrypt",
            table.fullname,
            reencrypt_spec(table),
            split=lambda c: split_table(c, table, chunk_rows=ROWS // 8),
        )
        assert run_job(job.id, tools).remaining == 0
        return size() / before

    with_slices = grown(DeadRows('"Odd table"', 0.25, smallest=1_000), rate=8_000)
    without = grown(None)
    assert (with_slices, without) == (pytest.approx(1.35, abs=0.2), pytest.approx(1.9, abs=0.2))
