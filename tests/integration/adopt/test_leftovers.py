"""What is readable after each step, by looking: the table of the how-to page, with real counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.fixtures.postgres import Database
from tests.integration.adopt.conftest import open_tools, run, sqlalchemy_url
from vaultdb.db.manifests import Manifest, record
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.adoption import Adoption, find_adoption
from vaultdb.jobs.adopt.leftovers.erasing import erase, plan
from vaultdb.jobs.adopt.leftovers.samples import samples_in, samples_of
from vaultdb.jobs.adopt.leftovers.status import Status, look
from vaultdb.keys.keyring import Keyring
from vaultdb.orm.types import Encrypted

ROWS = 5_000
MARKER = "MARKER-"


@pytest.fixture
def metadata(database: Database) -> sa.MetaData:
    found = sa.MetaData()
    sa.Table(
        "person",
        found,
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("ssn", sa.Text, index=True),
        sa.Column("ssn_encrypted", Encrypted(str), nullable=True),
    )
    database.create_all(found)
    with database.connect() as connection:
        connection.execute("GRANT SELECT, UPDATE ON person TO vaultdb_rotator")
    return found


def fill(database: Database, rows: int = ROWS) -> None:
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO person (id, ssn) SELECT n, %s::text || lpad(n::text, 20, 'x')"
            " FROM generate_series(1, %s) AS n",
            [MARKER, rows],
        )
        connection.execute("ANALYZE person")


@contextmanager
def as_admin(database: Database) -> Iterator[sa.Connection]:
    engine = sa.create_engine(sqlalchemy_url(database.admin_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def status(database: Database, adoption: Adoption, values: Path) -> Status:
    with as_admin(database) as connection:
        return look(connection, adoption, samples_in(values))


def counts(found: Status) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for each in found.found:
        kinds[each.kind] = kinds.get(each.kind, 0) + each.occurrences
    return kinds


def execute(database: Database, statement: str) -> None:
    with database.connect() as connection:
        connection.execute(statement.encode())


def test_what_is_readable_after_each_step(
    database: Database, metadata: sa.MetaData, keyring: Keyring, tmp_path: Path
) -> None:
    adoption = find_adoption([metadata], "person", "ssn")
    values = tmp_path / "values"
    values.write_text(MARKER + "\n")
    seen: dict[str, dict[str, int]] = {}

    def after(step: str) -> None:
        seen[step] = counts(status(database, adoption, values))

    fill(database)
    after("inserted")
    with open_tools(database, metadata, keyring, batch=2_000) as tools:
        assert run(tools, "adopt-backfill", "person", "ssn")[0].changed == ROWS
        after("backfilled")
        assert run(tools, "adopt-null", "person", "ssn")[0].changed == ROWS
        after("emptied")
    execute(database, "VACUUM person")
    after("VACUUM")
    execute(database, "ALTER TABLE person DROP COLUMN ssn")
    after("DROP COLUMN")
    with as_admin(database) as connection:
        erase(connection, adoption, recycles=False)
    after("VACUUM FULL")
    with as_admin(database) as connection:
        erase(connection, adoption, rewrites=False)
    after("WAL written over")

    assert seen["inserted"]["table"] == ROWS
    assert seen["inserted"]["index"] >= ROWS
    assert seen["inserted"]["wal"] >= ROWS
    assert seen["inserted"]["statistics"] > 0
    assert seen["backfilled"]["table"] >= ROWS
    for step in ("emptied", "VACUUM", "DROP COLUMN"):
        assert seen[step]["table"] > ROWS / 10, step
        assert seen[step]["wal"] > 0, step
    assert seen["VACUUM FULL"]["table"] == seen["VACUUM FULL"]["index"] == 0
    assert seen["VACUUM FULL"]["statistics"] == 0
    assert seen["VACUUM FULL"]["wal"] > 0
    assert sum(seen["WAL written over"].values()) == 0


def test_samples_are_decrypted_and_found_although_the_old_column_is_gone(
    database: Database, metadata: sa.MetaData, keyring: Keyring
) -> None:
    adoption = find_adoption([metadata], "person", "ssn")
    fill(database, 300)
    with open_tools(database, metadata, keyring) as tools:
        run(tools, "adopt-backfill", "person", "ssn")
        run(tools, "adopt-null", "person", "ssn")
        execute(database, "ALTER TABLE person DROP COLUMN ssn")
        with tools.engine.connect() as connection:
            samples = samples_of(connection, adoption, keyring, tenant="", count=20)
    with as_admin(database) as connection:
        found = look(connection, adoption, samples)
        erase(connection, adoption)
        erased = look(connection, adoption, samples)

    assert 5 <= found.samples <= 20
    assert next(each for each in found.found if each.kind == "wal").values == found.samples
    assert (erased.is_readable, found.is_readable) == (False, True)
    assert MARKER not in repr(samples)


def test_backups_that_are_older_than_the_erasure_are_named(
    database: Database, metadata: sa.MetaData, tmp_path: Path
) -> None:
    adoption = find_adoption([metadata], "person", "ssn")
    values = tmp_path / "values"
    values.write_text("not there\n")
    now = datetime.now(UTC)
    with as_admin(database) as connection:
        for name, days in (("old", 2), ("expired", 20)):
            taken = now - timedelta(days=days)
            record(connection, Manifest(name, taken, taken + timedelta(days=10), frozenset()))
        before = look(connection, adoption, samples_in(values))
        erase(connection, adoption, recycles=False)
        record(connection, Manifest("new", now + timedelta(hours=1), None, frozenset()))
        after = look(connection, adoption, samples_in(values))

    for found in (before, after):
        assert [line.split(" of ")[0] for line in found.unseen if line.startswith("backup")] == [
            "backup old"
        ]
    assert before.erased_at is None
    assert after.erased_at is not None


def test_copies_in_other_tables_are_found_when_asked_for(
    database: Database, metadata: sa.MetaData, tmp_path: Path
) -> None:
    adoption = find_adoption([metadata], "person", "ssn")
    values = tmp_path / "values"
    values.write_text("a value that somebody copied\n")
    execute(database, "CREATE TABLE \"Old copy\" AS SELECT 'a value that somebody copied' AS c")

    with as_admin(database) as connection:
        found = look(connection, adoption, samples_in(values), everywhere=True)

    assert ("elsewhere", '"Old copy"') in {
        (each.kind, each.name.removeprefix("public.")) for each in found.found if each.values
    }


def test_nothing_is_erased_while_the_old_column_holds_values(
    database: Database, metadata: sa.MetaData
) -> None:
    fill(database, 3)
    with (
        as_admin(database) as connection,
        pytest.raises(
            ConfigurationError, match=r"person.ssn still holds values, 3 of them; empty it first"
        ),
    ):
        plan(connection, find_adoption([metadata], "person", "ssn"))


def test_the_rewrite_gives_up_when_somebody_keeps_the_table(
    database: Database, metadata: sa.MetaData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaultdb.jobs.adopt.leftovers.erasing.LOCK_TIMEOUT", "100ms")
    with database.connect() as other, other.transaction(), as_admin(database) as connection:
        other.execute("SELECT * FROM person")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            erase(connection, find_adoption([metadata], "person", "ssn"))


def test_a_replication_slot_that_keeps_wal_is_named_and_its_wal_is_found(
    database: Database, metadata: sa.MetaData, tmp_path: Path
) -> None:
    adoption = find_adoption([metadata], "person", "ssn")
    values = tmp_path / "values"
    values.write_text("a value in kept wal\n")
    with database.connect() as connection:
        connection.execute("SELECT pg_create_physical_replication_slot('keeper', true)")
    try:
        execute(database, "INSERT INTO person (id, ssn) VALUES (1, 'a value in kept wal')")
        execute(database, "UPDATE person SET ssn = NULL")
        with as_admin(database) as connection:
            erase(connection, adoption)
        kept = status(database, adoption, values)
    finally:
        execute(database, "SELECT pg_drop_replication_slot('keeper')")
    with as_admin(database) as connection:
        erase(connection, adoption, rewrites=False)
    gone = status(database, adoption, values)

    assert {each.kind for each in kept.found if each.values} == {"wal"}
    assert [line for line in kept.unseen if line.startswith("replication slot keeper: it keeps")]
    assert not gone.is_readable
    assert not [line for line in gone.unseen if "slot" in line]
