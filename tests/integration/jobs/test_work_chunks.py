"""Chunks are worked through once, by whoever holds them, whatever the key."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import Column, Date, Integer, LargeBinary, String, Uuid

from tests.integration.jobs.conftest import open_to_rotator
from tests.integration.jobs.counting import counted
from vaultdb.errors import KeyUnavailable
from vaultdb.jobs.work import runner
from vaultdb.jobs.work.chunk import run_chunk
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.passes import settle
from vaultdb.jobs.work.runner import run_job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.store import JobStore
from vaultdb.jobs.work.task import Quarantined
from vaultdb.jobs.work.worker import Patience

KEYS = {
    "integer": ([Column("id", Integer, primary_key=True)], [(n * abs(n),) for n in range(-9, 91)]),
    "uuid": (
        [Column("id", Uuid, primary_key=True)],
        [(UUID(int=n * 2654435761 * 2**90 % 2**128),) for n in range(100)],
    ),
    "text": (
        [Column('Odd "key"', String(collation="de-x-icu"), primary_key=True)],
        [(f"{'aÄbZz'[n % 5]}{n} %s",) for n in range(100)],
    ),
    "bytea": (
        [Column("id", LargeBinary, primary_key=True)],
        [(bytes((n * 7 % 256, n, 0)),) for n in range(100)],
    ),
    "date": (
        [Column("id", Date, primary_key=True)],
        [(date.fromordinal(1 + n * 30_000),) for n in range(100)],
    ),
    "composite": (
        [Column("Key", String(9), primary_key=True), Column("b", Integer, primary_key=True)],
        [(f"{'xy'[n % 2]}", n // 2) for n in range(100)],
    ),
}


@pytest.fixture(params=KEYS)
def filled(request, database):
    """A table of 100 rows, with a key of each kind."""
    columns, rows = KEYS[request.param]
    table = counted("Odd table", *(column._copy() for column in columns))
    return fill(database, table, rows)


@pytest.fixture
def numbered(database):
    """A table of the rows 1 to 100."""
    table = counted("Odd table", Column("id", Integer, primary_key=True))
    return fill(database, table, [(n,) for n in range(1, 101)])


def fill(database, table, rows):
    database.create_all(table.metadata)
    names = [column.name for column in table.primary_key]
    with database.connect() as connection:
        columns = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        marks = ", ".join(["%s"] * len(names))
        connection.cursor().executemany(
            f'INSERT INTO "Odd table" ({columns}) VALUES ({marks})', rows
        )
    open_to_rotator(database, "Odd table")
    return table


def start(store, table, chunk_rows=30):
    spec = {"table": table.name}
    return store.start(
        "counting", table.name, spec, split=lambda c: split_table(c, table, chunk_rows=chunk_rows)
    )


def counts(database):
    with database.connect() as connection:
        rows = connection.execute(
            'SELECT "select", count(*) FROM "Odd table" GROUP BY 1'
        ).fetchall()
        return dict(rows)


def test_every_row_is_changed_once_whatever_the_key(filled, database, store, tools_of):
    job = start(store, filled)
    assert store.progress(job.id).chunks == 4
    result = run_job(job.id, tools_of(filled.metadata, batch=7))
    assert counts(database) == {1: 100}
    assert (result.job.state, result.changed, result.remaining) == (JobState.FINISHED, 100, 0)
    assert store.progress(job.id).estimated == 100


def test_several_workers_share_the_chunks(numbered, database, store, tools_of):
    job = start(store, numbered, chunk_rows=5)
    result = run_job(job.id, tools_of(numbered.metadata, batch=2), workers=3)
    assert counts(database) == {1: 100}
    assert result.changed == 100


def test_an_empty_table_is_one_chunk_and_done_at_once(database, store, tools_of):
    table = fill(database, counted("Odd table", Column("id", Integer, primary_key=True)), [])
    job = start(store, table)
    assert store.progress(job.id).chunks == 1
    assert run_job(job.id, tools_of(table.metadata)).job.state is JobState.FINISHED


def test_rows_that_are_added_meanwhile_are_worked_too(numbered, database, store, tools_of):
    job = start(store, numbered)
    tools = tools_of(numbered.metadata)
    while run_chunk(job.id, tools).number is not None:
        pass
    with database.connect() as connection:
        connection.execute('INSERT INTO "Odd table" (id) VALUES (-5), (50000)')
    result = run_job(job.id, tools)
    assert counts(database) == {1: 102}
    assert (result.job.passes, result.remaining) == (1, 0)


def test_a_chunk_stops_when_its_time_is_over_and_goes_on_where_it_stopped(
    numbered, database, store, tools_of
):
    job = start(store, numbered, chunk_rows=1000)
    tools = tools_of(numbered.metadata)
    first = run_chunk(job.id, tools, max_seconds=0)
    assert (first.changed, first.finished) == (10, False)
    second = run_chunk(job.id, tools)
    assert (second.seen, second.changed, second.finished) == (90, 90, True)


def test_a_chunk_is_held_by_one_worker_until_its_lease_ends(numbered, database, store, tools_of):
    job = start(store, numbered, chunk_rows=1000)
    tools = tools_of(numbered.metadata)
    with database.connect() as connection:
        connection.execute(
            "UPDATE vaultdb.job_chunk SET worker = 'dead', lease_until = now() + interval '1 hour'"
        )
        assert run_chunk(job.id, tools).number is None
        connection.execute("UPDATE vaultdb.job_chunk SET lease_until = now() - interval '1 second'")
        assert run_chunk(job.id, tools).changed == 100


def test_a_worker_that_lost_its_lease_changes_nothing(numbered, database, store, tools_of):
    job = start(store, numbered, chunk_rows=1000)
    tools = tools_of(numbered.metadata)

    class Thief:
        batch_size = 10
        calls = 0

        def before_batch(self, connection):
            self.calls += 1
            if self.calls == 3:
                with database.connect() as other:
                    other.execute("UPDATE vaultdb.job_chunk SET worker = 'thief'")
            return 0.0

        def after_batch(self, rows, seconds):
            pass

    object.__setattr__(tools, "throttle", Thief())
    result = run_chunk(job.id, tools)
    assert (result.changed, result.finished) == (20, False)
    assert counts(database) == {0: 80, 1: 20}


def test_a_paused_job_stops_after_the_batch_and_goes_on_when_resumed(
    numbered, database, store, tools_of
):
    job = start(store, numbered, chunk_rows=1000)
    tools = tools_of(numbered.metadata)

    class Pausing:
        batch_size = 10
        calls = 0

        def before_batch(self, connection):
            self.calls += 1
            if self.calls == 2:
                store.pause(job.id)
            return 0.0

        def after_batch(self, rows, seconds):
            pass

    object.__setattr__(tools, "throttle", Pausing())
    result = run_job(job.id, tools)
    assert (result.job.state, result.changed, result.remaining) == (JobState.PAUSED, 20, None)
    store.resume(job.id)
    assert run_job(job.id, tools).job.state is JobState.FINISHED
    assert counts(database) == {1: 100}


def test_bad_rows_are_put_into_quarantine_and_the_others_are_worked(
    numbered, database, store, tools_of
):
    with database.connect() as connection:
        connection.execute('UPDATE "Odd table" SET bad = true WHERE id IN (7, 77)')
    job = start(store, numbered)
    result = run_job(job.id, tools_of(numbered.metadata))
    assert counts(database) == {0: 2, 1: 98}
    assert (result.job.state, result.quarantined, result.remaining) == (JobState.FINISHED, 2, 2)
    expected = [Quarantined(("7",), "select", "bad"), Quarantined(("77",), "select", "bad")]
    assert sorted(store.quarantined(job.id), key=lambda q: int(q.key[0])) == expected


def test_a_locked_row_is_left_to_a_later_pass(numbered, database, store, tools_of):
    job = start(store, numbered)
    with database.connect() as other, other.transaction():
        other.execute('SELECT FROM "Odd table" WHERE id = 33 FOR UPDATE')
        result = run_job(job.id, tools_of(numbered.metadata), patience=Patience(fruitless_passes=1))
        assert (result.job.state, result.remaining) == (JobState.RUNNING, 1)
        assert result.conflicts >= 1
    assert run_job(job.id, tools_of(numbered.metadata)).job.state is JobState.FINISHED
    assert counts(database) == {1: 100}


def test_two_ends_of_a_pass_at_once_are_one(numbered, database, store, tools_of):
    job = start(store, numbered)
    tools = tools_of(numbered.metadata)
    while run_chunk(job.id, tools).number is not None:
        pass
    with database.connect() as other:
        other.execute("SELECT pg_advisory_lock(hashtext('vaultdb.job'), %s::integer)", [job.id])
        assert settle(job.id, tools).remaining is None
    assert settle(job.id, tools).state is JobState.FINISHED


def test_a_server_that_is_away_when_progress_is_told_does_not_stop_the_workers(
    numbered, database, store, tools_of, monkeypatch
):
    job = start(store, numbered)
    told, read = [], JobStore.progress

    def away_at_first(self, job_id):
        monkeypatch.setattr(JobStore, "progress", read)
        raise KeyUnavailable("cannot read the job's progress: the server is being restarted")

    monkeypatch.setattr(JobStore, "progress", away_at_first)
    monkeypatch.setattr(runner, "LOOK", 0)
    result = run_job(job.id, tools_of(numbered.metadata, batch=2), progress=told.append)
    assert (result.changed, result.remaining) == (100, 0)
    assert told[-1].changed == 100
