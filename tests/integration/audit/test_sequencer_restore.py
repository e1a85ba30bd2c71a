"""A log that is dumped and restored into a new cluster goes on where it was."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from tests.fixtures.postgres import Database, Postgres
from tests.integration.audit.tree import Tree
from tests.integration.audit.writing import Process
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.merkle import Frontier
from vaultdb.db.connect import new_engine
from vaultdb.dev.binaries import find_postgres
from vaultdb.jobs.audit.sequencer import Sequencer
from vaultdb.jobs.audit.signing import CheckpointRefused, NoteSigner
from vaultdb.settings import DatabaseSettings


@contextmanager
def sequencer_of(database: Database, keys: MemoryAuditKeys) -> Iterator[Sequencer]:
    url = SecretStr(database.url_for("vaultdb_audit_sequencer"))
    engine = new_engine(DatabaseSettings(url=url))
    yield Sequencer(engine, NoteSigner(str(database.realm), keys))
    engine.dispose()


def restored(database: Database, cluster: Postgres) -> Database:
    """Dump the log, and restore it into a new database of another cluster."""
    folder = find_postgres().folder
    dump = subprocess.run(
        [folder / "pg_dump", "-Fc", "--schema=vaultdb_audit", "--dbname", database.admin_url],
        check=True,
        capture_output=True,
    ).stdout
    new = cluster.create_database()
    with new.connect() as connection:
        connection.execute("DROP SCHEMA vaultdb_audit CASCADE")
    subprocess.run(
        [folder / "pg_restore", "--exit-on-error", "--dbname", new.admin_url],
        check=True,
        input=dump,
        capture_output=True,
    )
    return new


def test_a_restore_into_a_new_cluster_continues(database: Database, own_postgres: Postgres) -> None:
    keys = MemoryAuditKeys()
    process = Process(database, keys)
    one = process.open(5)
    with sequencer_of(database, keys) as before:
        exported = before.step().signed
    process.write(one, 2)  # in the dump, but without a leaf
    new = restored(database, own_postgres)
    with sequencer_of(new, keys) as after:
        after.must_follow(exported)
        assert after.step().added == 2
        Process(new, keys).open(3)
        step = after.step()
    assert (step.added, step.gaps) == (4, ())
    tree = Tree(new, keys)
    assert tree.check() == 6 + 2 + 4
    assert exported is not None
    assert root_of(new, exported.checkpoint.size) == exported.checkpoint.root


def test_a_backup_older_than_the_exported_checkpoint_is_told_from_one_that_is_not(
    database: Database, postgres: Postgres
) -> None:
    keys = MemoryAuditKeys()
    process = Process(database, keys)
    one = process.open(5)
    with sequencer_of(database, keys) as before:
        before.step()
        new = restored(database, postgres)
        process.write(one)
        exported = before.step().signed
    with sequencer_of(new, keys) as after:
        after.must_follow(exported)
        with pytest.raises(CheckpointRefused, match="--new-epoch"):
            after.step()
    postgres.drop_database(new.name)


def root_of(database: Database, size: int) -> bytes:
    """Return the root of the first leaves."""
    frontier = Frontier()
    with database.connect() as connection:
        query = "SELECT hash FROM vaultdb_audit.leaf WHERE index < %s ORDER BY index"
        for (leaf,) in connection.execute(query, [size]):
            frontier.add(leaf)
    return frontier.root()
