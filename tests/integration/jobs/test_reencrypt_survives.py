"""What happens to a table while it is re-encrypted loses nothing and stops nothing."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, select, update

from tests.integration.jobs.conftest import ROTATOR, open_to_rotator
from tests.integration.jobs.people import contents, fill, key_ids, table_of
from vaultdb import Encrypted
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.reencrypt.target import find_target, reencrypt_spec
from vaultdb.jobs.reencrypt.triggers import listening_triggers
from vaultdb.jobs.work.job import JobState
from vaultdb.keys.wrapped_key import Purpose


@pytest.fixture
def person(database, keys):
    """Forty rows under the first key; the second one writes."""
    table = table_of(("id", Integer()))
    app = keys.app()
    fill(database, app, table, [(n,) for n in range(40)])
    return table


@contextmanager
def meanwhile(work):
    """Repeat something in a thread until the block ends; returns how often."""
    stop, done = threading.Event(), []

    def loop():
        while not stop.is_set():
            work()
            done.append(1)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def test_a_writer_of_every_row_loses_nothing(person, database, keys, run):
    keyring = keys.keyring()
    app = keys.app(keyring=keyring)

    def increment():
        keyring.flush()  # or it would write under the old key for five minutes
        for number in range(40):
            row = (person.c.id == number,)
            with app.begin() as connection:
                odd = connection.scalar(select(person.c.odd).where(*row).with_for_update())
                changed = {"n": (odd or {"n": number})["n"] + 1}
                connection.execute(update(person).where(*row).values(odd=changed))

    with meanwhile(increment) as rounds:
        for _ in range(3):
            new = keys.new()
            assert run(person, workers=2, batch=3).job.state is JobState.FINISHED
    with keys.app().connect() as connection:
        rows = connection.execute(select(person.c.id, person.c.odd))
        found = {row.id: row.odd["n"] for row in rows}
    assert found == {n: n + len(rounds) for n in range(40)}
    assert key_ids(database, person, "secret") == {new.key_id}


def test_a_value_that_does_not_decrypt_is_named_and_the_others_are_done(
    person, database, store, keys, run
):
    keys.new()
    with database.connect() as connection:
        connection.execute(
            "UPDATE \"Odd table\" SET secret = overlay(secret placing '\\x00'::bytea from 50) WHERE id = 3"
        )
        connection.execute(
            "UPDATE \"Odd table\" SET secret = overlay(secret placing '\\x00112233'::bytea from 3) WHERE id = 4"
        )
        connection.execute(
            'UPDATE "Odd table" SET secret = (SELECT secret FROM "Odd table" WHERE id = 6) WHERE id = 5'
        )
    result = run(person)
    assert (result.job.state, result.remaining, result.changed) == (JobState.FINISHED, 3, 40)
    found = {(bad.key, bad.column, bad.reason) for bad in store.quarantined(result.job.id)}
    assert found == {
        (("3",), "secret", "bad tag"),
        (("4",), "secret", "unknown key"),
        (("5",), "secret", "bad tag"),
    }


def test_what_was_put_into_quarantine_is_tried_again_by_the_next_run(
    person, database, store, keys, run
):
    keys.new()
    with database.connect() as connection:
        (good,) = connection.execute('SELECT secret FROM "Odd table" WHERE id = 3').fetchone()
        connection.execute(
            "UPDATE \"Odd table\" SET secret = overlay(secret placing '\\x00'::bytea from 50) WHERE id = 3"
        )
        assert run(person).quarantined == 1
        connection.execute('UPDATE "Odd table" SET secret = %s WHERE id = 3', [good])
    again = run(person)
    assert (again.changed, again.quarantined, again.remaining) == (1, 0, 0)


def test_a_partitioned_table_is_re_encrypted(database, keys, run):
    table = Table(
        "parted",
        MetaData(),
        Column("region", Text, primary_key=True),
        Column("id", Integer, primary_key=True),
        Column("secret", Encrypted(str)),
        postgresql_partition_by="LIST (region)",
    )
    app = keys.app()
    database.create_all(table.metadata)
    with database.connect() as connection:
        for region in "ab":
            connection.execute(
                f"CREATE TABLE parted_{region} PARTITION OF parted FOR VALUES IN ('{region}')"
            )
    open_to_rotator(database, "parted")
    with app.begin() as connection:
        rows = [{"region": "ab"[n % 2], "id": n, "secret": f"{n}"} for n in range(40)]
        connection.execute(table.insert(), rows)
    new = keys.new()
    result = run(table)
    assert (result.changed, result.remaining, result.job.state) == (40, 0, JobState.FINISHED)
    assert key_ids(database, table, "secret") == {new.key_id}
    with keys.app().connect() as connection:
        assert {
            (r.id, r.secret) for r in connection.execute(select(table.c.id, table.c.secret))
        } == {(n, f"{n}") for n in range(40)}


def test_a_row_whose_key_changes_meanwhile_is_found_where_it_is(database, keys, run):
    table = Table(
        "Odd table",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("secret", Encrypted(str, bind="column")),
    )
    database.create_all(table.metadata)
    open_to_rotator(database, "Odd table")
    with keys.app().begin() as connection:
        connection.execute(table.insert(), [{"id": n, "secret": f"{n}"} for n in range(1, 41)])
    new = keys.new()

    def move():
        with database.connect() as connection:
            connection.execute('UPDATE "Odd table" SET id = -id WHERE id IN (5, 35, -5, -35)')

    with meanwhile(move):
        result = run(table, batch=3)
    assert (result.job.state, result.remaining) == (JobState.FINISHED, 0)
    assert key_ids(database, table, "secret") == {new.key_id}


def test_a_column_that_is_renamed_between_two_runs_is_found_by_its_logical_name(
    person, database, keys, store, run
):
    spec = reencrypt_spec(person, columns=["secret"])
    renamed = Table(
        "New table",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("hidden", Encrypted(str, logical_name="Odd table.secret"), nullable=False),
    )
    with database.connect() as connection:
        connection.execute('ALTER TABLE "Odd table" RENAME COLUMN secret TO hidden')
        connection.execute('ALTER TABLE "Odd table" RENAME TO "New table"')
    new = keys.new()
    job = store.start("reencrypt", "Odd table", spec)
    assert run(renamed, job=job).changed == 40
    assert key_ids(database, renamed, "hidden") == {new.key_id}


def test_a_job_whose_columns_are_gone_says_so(person):
    spec = reencrypt_spec(person, columns=["secret"])
    with pytest.raises(
        ConfigurationError, match="no table Odd table, and none with the job's columns"
    ):
        find_target(MetaData(), spec)


def test_columns_that_renew_themselves_stay(database, keys, run):
    table = Table(
        "Odd table",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("secret", Encrypted(str)),
        Column("touched", Integer, nullable=False, server_default="0", onupdate=99),
    )
    database.create_all(table.metadata)
    open_to_rotator(database, "Odd table")
    with keys.app().begin() as connection:
        connection.execute(table.insert(), [{"id": 1, "secret": "x"}])
    keys.new()
    assert run(table).changed == 1
    with database.connect() as connection:
        assert connection.execute('SELECT touched FROM "Odd table"').fetchone() == (0,)


def test_triggers_that_listen_are_told(person, database, engine):
    with database.connect() as connection:
        connection.execute(
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
        )
        for name, when in {
            "a": "BEFORE UPDATE",
            "b": "AFTER UPDATE OF secret",
            "c": "AFTER UPDATE OF id",
            "d": "BEFORE INSERT",
        }.items():
            connection.execute(
                f'CREATE TRIGGER "{name}" {when} ON "Odd table" FOR EACH ROW EXECUTE FUNCTION touch()'
            )
    target = find_target(person.metadata, reencrypt_spec(person))
    with engine.connect() as connection:
        found = [(t.name, t.function, t.before) for t in listening_triggers(connection, target)]
    assert found == [("a", "touch", True), ("b", "touch", False)]


def test_a_row_that_the_database_refuses_is_put_into_quarantine(person, database, store, keys, run):
    keys.new()
    with database.connect() as connection:
        connection.execute(
            'ALTER TABLE "Odd table" ADD CONSTRAINT odd CHECK (id NOT IN (7, 8)) NOT VALID'
        )
    result = run(person, batch=40)
    assert (result.job.state, result.changed, result.remaining) == (JobState.FINISHED, 38, 2)
    found = {(bad.key, bad.reason) for bad in store.quarantined(result.job.id)}
    assert found == {(("7",), "refused by the database"), (("8",), "refused by the database")}


def test_only_one_tenant_is_re_encrypted_when_asked(database, keys, run):
    table = table_of(("id", Integer()))
    fill(database, keys.app("a"), table, [(n,) for n in range(20)])
    with keys.app("b").begin() as connection:
        connection.execute(
            table.insert(),
            [{"id": n, "secret": "b", "odd": None, "ssn": None} for n in range(20, 40)],
        )
    old_b = key_ids(database, table, "secret")
    new_a, _ = keys.new(tenant="a"), keys.new(tenant="b")
    result = run(table, tenant="a")
    assert (result.changed, result.remaining) == (20, 0)
    found = key_ids(database, table, "secret")
    assert new_a.key_id in found
    assert len(found) == 2
    assert found - {new_a.key_id} < old_b
    assert run(table).changed == 20


def test_index_values_follow_the_index_key_that_writes(person, database, keys, run):
    before = contents(keys.app(), person)
    new = keys.new(Purpose.INDEX)
    result = run(person)
    assert (result.changed, result.remaining) == (40, 0)
    with database.connect() as connection:
        rows = connection.execute(
            'SELECT DISTINCT substr(ssn_index, 3, 8) FROM "Odd table"'
        ).fetchall()
    assert rows == [(new.key_id[:8],)]
    app = keys.app()
    assert contents(app, person) == before
    with app.connect() as connection:
        assert len(connection.execute(select(person.c.id).where(person.c.ssn == "3")).all()) == 6


def test_an_index_key_that_is_incoming_does_not_write_what_is_searched(person, database, keys, run):
    new = keys.new(Purpose.INDEX)
    with database.connect() as connection:
        connection.execute("ALTER TABLE vaultdb.data_key DISABLE TRIGGER keep_restrictions")
        connection.execute(
            "UPDATE vaultdb.data_key SET state = 'incoming' WHERE key_id = %s", [new.key_id]
        )
    assert run(person).changed == 0


def test_values_under_a_disabled_key_are_put_into_quarantine(person, database, store, keys, run):
    with database.connect() as connection:
        connection.execute("UPDATE vaultdb.data_key SET state = 'disabled' WHERE purpose = 'data'")
    keys.new()
    result = run(person)
    assert (result.job.state, result.changed, result.remaining) == (JobState.FINISHED, 0, 40)
    assert {bad.reason for bad in store.quarantined(result.job.id)} == {"key denied"}


def test_the_rights_of_the_rotator_are_enough_where_row_level_security_is_forced(
    person, database, keys, run
):
    new = keys.new()
    columns = 'secret, "Odd column", ssn, ssn_index'
    with database.connect() as connection:
        for statement in (
            f'REVOKE ALL ON "Odd table" FROM {ROTATOR}',
            f'GRANT SELECT (id, {columns}), UPDATE ({columns}) ON "Odd table" TO {ROTATOR}',
            'ALTER TABLE "Odd table" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
            f'CREATE POLICY reads ON "Odd table" FOR SELECT TO {ROTATOR} USING (true)',
            f'CREATE POLICY writes ON "Odd table" FOR UPDATE TO {ROTATOR} USING (true)',
        ):
            connection.execute(statement)
    result = run(person)
    assert (result.job.state, result.changed, result.remaining) == (JobState.FINISHED, 40, 0)
    assert key_ids(database, person, "secret") == {new.key_id}
