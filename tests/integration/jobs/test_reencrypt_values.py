"""Values end up under the key that writes, whatever the table, and read as before."""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    Date,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Uuid,
)

from tests.integration.jobs.people import contents, fill, key_ids, table_of
from vaultdb.jobs.work.job import JobState

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
