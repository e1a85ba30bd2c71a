"""Values end up under the key that writes, whatever the table, and read as before."""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    Column,
    Date,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Uuid,
    insert,
    select,
)

from tests.integration.jobs.conftest import open_to_rotator
from vaultdb import Encrypted, Equality
from vaultdb.jobs.reencrypt.target import reencrypt_spec
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.runner import run_job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.task import Tools
from vaultdb.jobs.work.throttle import NoThrottle

KEYS = {
    "integer": ([("id", SmallInteger())], [(n * 11,) for n in range(-20, 20)]),
    "uuid": ([("id", Uuid())], [(uuid4(),) for _ in range(40)]),
    "text": ([('Odd "key"', String(9))], [(f"ä{n} %s",) for n in range(40)]),
    "bytea": ([("id", LargeBinary())], [(bytes((n * 7 % 256, 0)),) for n in range(40)]),
    "date": ([("id", Date())], [(date.fromordinal(1 + n * 80_000),) for n in range(40)]),
    "composite": (
        [("select", String(9)), ("b", Uuid()), ("c", Integer())],
        [("xy"[n % 2], UUID(int=n % 3), n) for n in range(40)],
    ),
}


def table_of(*key, name="Odd table", metadata=None):
    return Table(
        name,
        metadata or MetaData(),
        *(Column(column, type_, primary_key=True, autoincrement=False) for column, type_ in key),
        Column("secret", Encrypted(str), nullable=False),
        Column("Odd column", Encrypted(dict, bind="column"), nullable=True, key="odd"),
        Column("ssn", Encrypted(str, index=Equality()), nullable=True),
    )


def fill(database, app, table, keys):
    database.create_all(table.metadata)
    open_to_rotator(database, table.name)
    names = [column.key for column in table.primary_key]
    rows = [
        dict(zip(names, key, strict=True))
        | {"secret": f"secret {n}", "odd": {"n": n} if n % 2 else None, "ssn": f"{n % 7}" or None}
        for n, key in enumerate(keys)
    ]
    with app.begin() as connection:
        connection.execute(insert(table), rows)
    return rows


def contents(app, table):
    with app.connect() as connection:
        rows = connection.execute(select(table).order_by(*table.primary_key)).mappings().all()
    return sorted(
        [tuple(row[c.name] for c in table.columns if c.name != "ssn_index") for row in rows],
        key=repr,
    )


def key_ids(database, table, column):
    with database.connect() as connection:
        rows = connection.execute(
            f'SELECT DISTINCT substr("{column}", 3, 16) FROM "{table.name}" WHERE "{column}" IS NOT NULL'
        )
        return {row[0] for row in rows}


@pytest.fixture
def run(store, engine, keys):
    """Start a job for a table and work on it until it is over."""

    def run(table, *, workers=1, batch=7, **spec):
        tools = Tools(table.metadata, keys.keyring(), None, engine, NoThrottle(batch))
        job = store.start(
            "reencrypt",
            table.fullname,
            reencrypt_spec(table, **spec),
            split=lambda c: split_table(c, table, chunk_rows=20),
        )
        return run_job(job.id, tools, workers=workers)

    return run


@pytest.mark.parametrize("kind", KEYS)
def test_all_values_move_to_the_new_key_whatever_the_primary_key(kind, database, keys, run):
    key, rows = KEYS[kind]
    table = table_of(*key)
    app = keys.app()
    fill(database, app, table, rows)
    before = contents(app, table)
    new = keys.new()
    result = run(table)
    assert (result.job.state, result.changed, result.remaining) == (JobState.FINISHED, 40, 0)
    for column in ("secret", "Odd column", "ssn"):
        assert key_ids(database, table, column) == {new.key_id}
    assert contents(keys.app(), table) == before
    assert run(table).changed == 0
