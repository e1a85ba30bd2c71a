"""What may happen while `vaultdb rotate --dek` re-encrypts rows: nothing is lost, and it ends."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial

import pytest
from sqlalchemy import insert

from tests.chaos.conftest import ReportRotation, Rotating
from tests.chaos.increments import ROUNDS, ROWS, WRITERS, increment, naive_rotation
from tests.chaos.rotating import MODELS, Counts, session_of
from tests.chaos.rotating_models import (
    Base,
    Counter,
    Moving,
    NextNote,
    Note,
    Parted,
)
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database, Postgres
from vaultdb.cli.job_tools import JobTools
from vaultdb.cli.options import Options
from vaultdb.jobs.reencrypt.target import reencrypt_spec
from vaultdb.jobs.work.job import JobState, Progress
from vaultdb.jobs.work.runner import run_job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.store import JobStore
from vaultdb.jobs.work.worker import Patience

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

Make = Callable[[Database, OpenBao], Rotating]
KILLS = 10


def notes(count: int, first: int = 0) -> list[dict[str, object]]:
    return [
        {"id": n, "body": f"note {n}", "email": f"{n}@example.org"}
        for n in range(first, first + count)
    ]


def bodies(count: int) -> list[dict[str, object]]:
    return [{"id": n, "body": f"note {n}"} for n in range(count)]


def lost(scene: Rotating, model: object, count: int) -> int:
    """Count the rows whose value is not what was written."""
    found = scene.contents(model)
    return sum(found.get(n) != f"note {n}" for n in range(count))


def versions(scene: Rotating) -> list[int]:
    """Return how many versions each scope of keys has."""
    return [
        number
        for (number,) in scene.query(
            "SELECT count(*) FROM vaultdb.data_key GROUP BY tenant, keyset, purpose"
        )
    ]


@contextmanager
def meanwhile(work: Callable[[], object], pause: float) -> Iterator[list[int]]:
    """Repeat something in a thread until the block ends."""
    stop, done = threading.Event(), []

    def loop() -> None:
        while not stop.wait(pause):
            work()
            done.append(1)

    thread = threading.Thread(target=copy_context().run, args=[loop])
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def test_a_worker_killed_ten_times_at_random_points_loses_nothing(
    rotating: Make, database: Database, openbao: OpenBao, report_rotation: ReportRotation
) -> None:
    count = 20_000
    scene = rotating(database, openbao)
    scene.fill(Note, notes(count))
    scene.new_data_key()
    killed: set[int] = set()
    due = time.monotonic()

    def kill_one(_progress: Progress) -> None:
        nonlocal due
        if len(killed) == KILLS or time.monotonic() < due:
            return
        held = "SELECT worker FROM vaultdb.job_chunk WHERE lease_until > now()"
        alive = {int(name.split(":")[1]) for (name,) in scene.query(held) if name} - killed
        if alive:
            victim = random.choice(sorted(alive))  # pytest-randomly prints the seed
            killed.add(victim)
            os.kill(victim, signal.SIGKILL)
            due = time.monotonic() + random.uniform(0, 1)

    table = Base.metadata.tables["Odd Table"]
    options = Options(config=scene.settings_file)
    opener = JobTools(options, (MODELS,), table.fullname, max_rows_per_second=1_000)
    with opener() as tools:
        job = JobStore(tools.engine).start(
            "reencrypt",
            table.fullname,
            reencrypt_spec(table),
            split=partial(split_table, table=table, chunk_rows=1_000),
        )
        patience = Patience(lease=2.0)
        result = run_job(
            job.id, tools, workers=2, progress=kill_one, opener=opener, patience=patience
        )
    counts = scene.counts(rows=count, lost=lost(scene, Note, count))
    report_rotation(f"{len(killed)} workers killed", counts)
    assert len(killed) == KILLS
    assert (result.job.state, result.remaining, result.quarantined) == (JobState.FINISHED, 0, 0)
    assert (counts.changed, counts.lost) == (count, 0)
    assert scene.key_ids("Odd Table", "body") == {scene.active_key(): count}


def test_two_rotations_started_at_once_make_one_version_and_share_the_rows(
    rotating: Make, database: Database, openbao: OpenBao, report_rotation: ReportRotation
) -> None:
    count = 20_000
    scene = rotating(database, openbao)
    scene.fill(Note, notes(count))
    runs = [scene.rotate(per_second=4_000) for _ in range(2)]
    for run in runs:
        run.end()
    counts = scene.counts(rows=count, lost=lost(scene, Note, count))
    report_rotation("two rotations at once", counts)
    assert counts.lost == counts.quarantined == 0
    assert versions(scene) == [2, 2]
    assert scene.key_ids("Odd Table", "body") == {scene.active_key(): count}


def test_a_vault_that_is_sealed_for_six_seconds_is_waited_for(
    rotating: Make, database: Database, own_openbao: OpenBao, report_rotation: ReportRotation
) -> None:
    count = 12_000
    scene = rotating(database, own_openbao)
    scene.fill(Note, notes(count))
    run = scene.rotate(per_second=2_000)
    scene.wait_until(run, 3_000)
    own_openbao.admin.write("sys/seal")
    time.sleep(6)
    own_openbao.faults.restart()  # the key is in its settings, so starting it unseals it
    run.end()
    counts = scene.counts(rows=count, lost=lost(scene, Note, count))
    report_rotation("Vault sealed for 6 s", counts)
    assert counts.lost == counts.quarantined == 0
    assert scene.key_ids("Odd Table", "body") == {scene.active_key(): count}


def test_a_database_that_is_restarted_twice_is_waited_for(
    rotating: Make, own_postgres: Postgres, openbao: OpenBao, report_rotation: ReportRotation
) -> None:
    count = 16_000
    scene = rotating(own_postgres.create_database(), openbao)
    scene.fill(Note, notes(count))
    run = scene.rotate(per_second=3_000)
    scene.wait_until(run, 4_000)
    own_postgres.faults.restart()
    scene.wait_until(run, 12_000)
    own_postgres.faults.stop()
    time.sleep(3)
    own_postgres.faults.start()
    run.end()
    counts = scene.counts(rows=count, lost=lost(scene, Note, count))
    report_rotation("PostgreSQL restarted twice", counts)
    assert counts.lost == counts.quarantined == 0
    assert scene.key_ids("Odd Table", "body") == {scene.active_key(): count}


def test_no_increment_is_lost_where_a_naive_rotation_loses_some(
    rotating: Make, postgres: Postgres, openbao: OpenBao, report_rotation: ReportRotation
) -> None:
    increments = ROWS * ROUNDS * WRITERS
    scene, beside = both = [rotating(postgres.create_database(), openbao) for _ in "ab"]
    for each in both:
        each.fill(Counter, [{"id": n, "count": n} for n in range(ROWS)])
    beside.new_data_key()
    context = multiprocessing.get_context("spawn")
    files = [each.settings_file for each in both]
    writers = [context.Process(target=increment, args=[files]) for _ in range(WRITERS)]
    rotations = 0
    with naive_rotation(beside.settings_file) as changed:
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            scene.rotate(per_second=1_500).end()
            rotations += 1
    assert [writer.exitcode for writer in writers] == [0, 0]
    full = ROWS * (ROWS - 1) // 2 + increments
    gone, naively_gone = (full - sum(each.contents(Counter, "count").values()) for each in both)
    counts = scene.counts(rows=ROWS, lost=gone)
    report_rotation(f"{increments:,} increments, {rotations} rotations", counts)
    naive = Counts(ROWS, sum(changed), None, None, naively_gone, counts.seconds)
    report_rotation(f"{increments:,} increments, the naive way", naive)
    assert increments == 100_000
    assert rotations >= 2
    assert counts.conflicts, "the rotation met no writer"
    assert gone == 0
    assert naively_gone > 0
    assert scene.key_ids("counter", "count") == {scene.active_key(): ROWS}
    for each in both:
        postgres.drop_database(each.database.name)


def test_values_that_do_not_decrypt_are_left_and_named(
    rotating: Make, database: Database, openbao: OpenBao, report_rotation: ReportRotation
) -> None:
    count, bad = 10_000, {17, 4_711, 9_999}
    scene = rotating(database, openbao)
    scene.fill(Note, notes(count))
    old = scene.active_key()
    scene.query(
        "UPDATE \"Odd Table\" SET body = overlay(body placing '\\x00ff00'::bytea from 40)"
        f" WHERE id IN ({', '.join(map(str, bad))})"
    )
    run = scene.rotate()
    out, errors = run.process.communicate(timeout=60)
    assert run.process.returncode == 1, out + errors
    found = scene.query("SELECT row_key, column_name, reason FROM vaultdb.job_quarantine")
    counts = scene.counts(rows=count, lost=0)
    under = scene.key_ids("Odd Table", "body")
    scene.query(f'DELETE FROM "Odd Table" WHERE id IN ({", ".join(map(str, bad))})')
    counts.lost = lost(scene, Note, count) - len(bad)
    report_rotation("3 values do not decrypt", counts)
    assert (counts.quarantined, counts.lost) == (3, 0)
    assert {(int(key[0]), column, reason) for key, column, reason in found} == {
        (n, "body", "bad tag") for n in bad
    }
    assert set(under) > {old}
    assert sorted(under.values()) == [3, count - 3]
    assert under[old] == 3


def test_rows_that_are_added_meanwhile_are_re_encrypted_too(
    rotating: Make, database: Database, openbao: OpenBao, report_rotation: ReportRotation
) -> None:
    first, step = 15_000, 100
    scene = rotating(database, openbao)
    scene.fill(Note, notes(first))
    old, count = scene.active_key(), first
    with session_of(scene.settings_file) as session:

        def add() -> None:
            nonlocal count
            session.execute(insert(Note), notes(step, count))
            session.commit()
            count += step

        add()  # under the old key, as the keyring has it for another second
        with meanwhile(add, 0.05) as added:
            scene.rotate(per_second=3_000).end()
    under = scene.key_ids("Odd Table", "body")
    counts = scene.counts(rows=count, lost=lost(scene, Note, count))
    report_rotation(f"{len(added) * step:,} rows added", counts)
    assert counts.lost == counts.quarantined == 0
    assert added
    assert old not in under
    assert sum(under.values()) == count


def test_rows_whose_primary_key_changes_meanwhile_are_re_encrypted(
    rotating: Make, database: Database, openbao: OpenBao, report_rotation: ReportRotation
) -> None:
    count = 6_000
    scene = rotating(database, openbao)
    scene.fill(Moving, [{"id": n + 1, "body": f"note {n}"} for n in range(count)])

    def move() -> None:
        scene.query(f"UPDATE moving SET id = -id WHERE id % 50 = {random.randrange(50)}")

    with meanwhile(move, 0.01) as moves:
        scene.rotate(per_second=1_500).end()
    found = sorted(scene.contents(Moving).values())
    missing = len(set(found) ^ {f"note {n}" for n in range(count)})
    counts = scene.counts(rows=count, lost=missing)
    report_rotation(f"{len(moves) * count // 50:,} primary keys changed", counts)
    assert len(moves) > 20
    assert counts.lost == counts.quarantined == 0
    assert scene.key_ids("moving", "body") == {scene.active_key(): count}


def test_a_column_that_is_renamed_between_two_runs_is_finished_under_its_new_name(
    rotating: Make, database: Database, openbao: OpenBao, report_rotation: ReportRotation
) -> None:
    count = 8_000
    scene = rotating(database, openbao)
    scene.fill(Note, notes(count))
    run = scene.rotate(per_second=2_000)
    scene.wait_until(run, 1_000)
    run.kill()
    scene.query('ALTER TABLE "Odd Table" RENAME COLUMN body TO "Odd contents"')
    scene.rotate(models=MODELS.replace("Base", "NextBase")).end()
    counts = scene.counts(rows=count, lost=lost(scene, NextNote, count))
    report_rotation("column renamed between runs", counts)
    assert counts.lost == counts.quarantined == 0
    per_job = "SELECT sum(changed) FROM vaultdb.job_chunk GROUP BY job"
    assert scene.query(per_job) == [(count,), (count,)]  # the values once, then the index
    assert versions(scene) == [2, 2]
    assert scene.key_ids("Odd Table", "Odd contents") == {scene.active_key(): count}


def test_a_partitioned_table_is_re_encrypted(
    rotating: Make, database: Database, openbao: OpenBao, report_rotation: ReportRotation
) -> None:
    count = 10_000
    scene = rotating(database, openbao)
    scene.fill(Parted, bodies(count))
    scene.rotate().end()
    counts = scene.counts(rows=count, lost=lost(scene, Parted, count))
    report_rotation("three partitions", counts)
    assert (counts.changed, counts.lost, counts.quarantined) == (count, 0, 0)
    assert scene.key_ids("parted", "body") == {scene.active_key(): count}
