"""The sequencer gives every record a leaf, in the order of its chain, and signs the tree."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from tests.fixtures.postgres import Database
from tests.integration.audit.tree import Tree
from tests.integration.audit.writing import Process
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.db.connect import new_engine
from vaultdb.errors import SchemaError
from vaultdb.jobs.audit.sequencer import Sequencer
from vaultdb.jobs.audit.sequencer_gaps import Gaps
from vaultdb.jobs.audit.signing import CheckpointRefused, NoteSigner
from vaultdb.settings import DatabaseSettings

NewSequencer = Callable[..., Sequencer]


@pytest.fixture
def keys() -> MemoryAuditKeys:
    return MemoryAuditKeys()


@pytest.fixture
def process(database: Database, keys: MemoryAuditKeys) -> Process:
    return Process(database, keys)


@pytest.fixture
def tree(database: Database, keys: MemoryAuditKeys) -> Tree:
    return Tree(database, keys)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    url = SecretStr(database.url_for("vaultdb_audit_sequencer"))
    made = new_engine(DatabaseSettings(url=url))
    yield made
    made.dispose()


@pytest.fixture
def new_sequencer(database: Database, engine: Engine, keys: MemoryAuditKeys) -> NewSequencer:
    def make(**options: object) -> Sequencer:
        return Sequencer(engine, NoteSigner(str(database.realm), keys), **options)  # type: ignore[arg-type]

    return make


def test_a_log_without_records_gets_no_checkpoint(new_sequencer: NewSequencer, tree: Tree) -> None:
    step = new_sequencer().step()
    assert (step.signed, step.added, step.is_behind) == (None, 0, False)
    assert tree.check() == 0


def test_every_record_of_every_chain_gets_a_leaf(
    process: Process, new_sequencer: NewSequencer, tree: Tree
) -> None:
    one, other = process.open(3), process.open(5)
    step = new_sequencer().step()
    assert step.added == 4 + 6
    assert step.signed is not None
    assert step.signed.checkpoint.size == 10 == tree.check()
    process.write(other)
    process.write(one, 2)
    assert new_sequencer().step().added == 3
    assert tree.check() == 13


def test_small_batches_make_the_same_tree_and_say_that_more_waits(
    process: Process, new_sequencer: NewSequencer, tree: Tree
) -> None:
    for count in (20, 0, 7):
        process.open(count)
    sequencer, steps = new_sequencer(batch=5), []
    while not steps or steps[-1].is_behind:
        steps.append(sequencer.step())
        tree.check()
    assert [step.added for step in steps][:-1] != []
    assert all(step.added <= 5 for step in steps)
    assert tree.check() == 30


def test_a_chain_with_many_records_does_not_hold_up_the_others(
    process: Process, new_sequencer: NewSequencer, tree: Tree
) -> None:
    process.open(50)
    second = process.open(1)
    new_sequencer(batch=10).step()
    assert (str(second.id), 1) in tree.leaves()


def test_nothing_is_signed_when_nothing_is_new(
    process: Process, new_sequencer: NewSequencer, database: Database
) -> None:
    process.open(1)
    sequencer = new_sequencer()
    first, second = sequencer.step(), sequencer.step()
    assert second.added == 0
    assert second.signed is not None
    assert second.signed == first.signed
    with database.connect() as connection:
        query = "SELECT count(*) FROM vaultdb_audit.checkpoint"
        assert connection.execute(query).fetchone() == (1,)


def test_an_idle_transaction_holds_up_nothing_but_itself(
    process: Process, new_sequencer: NewSequencer, database: Database, tree: Tree
) -> None:
    chains = [process.open(1) for _ in range(2)]
    sequencer = new_sequencer()
    with ExitStack() as stack:
        for url in (database.admin_url, database.postgres.admin_url):
            idle = stack.enter_context(psycopg.connect(url))
            idle.execute("SELECT pg_current_xact_id()")
        writing = stack.enter_context(psycopg.connect(database.url))
        chains[0].link(2)
        process.store(chains[0], on=writing)
        process.write(chains[1], 2)
        assert sequencer.step().added == 4 + 2
        writing.commit()
        assert sequencer.step().added == 2
    assert tree.check() == 8


def test_a_transaction_that_rolls_back_is_no_gap(
    process: Process, new_sequencer: NewSequencer, tree: Tree
) -> None:
    one = process.open()
    head = one.chain.head
    with psycopg.connect(process.database.url) as connection:
        one.link(2)
        process.store(one, on=connection)
        connection.rollback()
    one.chain.restore(head)
    process.write(one)
    assert new_sequencer().step().added == 2
    assert tree.check() == 2


def test_a_clock_that_jumps_and_a_month_that_ends_change_nothing(
    process: Process, new_sequencer: NewSequencer, database: Database, tree: Tree
) -> None:
    one = process.open(6)
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for seq, months in ((1, -2), (2, 1), (4, -30), (5, 2)):
            connection.execute(
                "UPDATE vaultdb_audit.event SET recorded_at = recorded_at"
                " + make_interval(months => %s) WHERE seq = %s",
                [months, seq],
            )
        connection.execute("UPDATE vaultdb_audit.chain SET opened_at = opened_at + interval '1 y'")
    assert new_sequencer().step().added == 7
    process.write(one)
    assert new_sequencer().step().added == 1
    assert tree.check() == 8


def test_a_chain_that_was_closed_is_not_looked_at_again(
    process: Process, new_sequencer: NewSequencer, database: Database
) -> None:
    one, other = process.open(1), process.open(1)
    process.close(one)
    new_sequencer().step()
    with database.connect() as connection:
        query = "SELECT chain FROM vaultdb_audit.chain WHERE NOT done"
        assert connection.execute(query).fetchall() == [(other.id,)]


def test_what_an_event_quotes_does_not_close_its_chain(
    process: Process, new_sequencer: NewSequencer, database: Database
) -> None:
    one = process.open()
    body = '{"event":"x","said":{"event":"chain.closed"},"text":"\\"event\\":\\"chain.closed\\""}'
    one.linked.append(one.chain.link("2026-03-01T00:00:00.000000Z", body))
    process.store(one)
    new_sequencer().step()
    with database.connect() as connection:
        query = "SELECT sequenced, done FROM vaultdb_audit.chain"
        assert connection.execute(query).fetchone() == (1, False)


def test_a_missing_record_stops_its_own_chain_and_is_told_once(
    process: Process,
    new_sequencer: NewSequencer,
    database: Database,
    tree: Tree,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, other = process.open(), process.open()
    process.write(one, 4)
    delete(database, one.id, 2)
    now = [0.0]
    sequencer = new_sequencer(gaps=Gaps(10, _clock=lambda: now[0]))
    with caplog.at_level(logging.ERROR):
        assert sequencer.step().gaps == ()
        process.write(other)
        assert sequencer.step().added == 1
        now[0] = 11
        told = [sequencer.step().gaps for _ in range(2)]
    assert [(gap.chain, gap.seq, gap.is_new) for gaps in told for gap in gaps] == [
        (one.id, 2, True),
        (one.id, 2, False),
    ]
    assert len(caplog.records) == 1
    assert "waits for its record 2" in caplog.text
    assert tree.check() == 2 + 2


def test_a_gap_that_waits_for_long_is_told_as_soon_as_it_is_seen(
    process: Process, new_sequencer: NewSequencer, database: Database
) -> None:
    one = process.open(2)
    delete(database, one.id, 1)
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE vaultdb_audit.event SET recorded_at = recorded_at - interval '11 s'"
        )
    sequencer = new_sequencer()
    assert sequencer.step().is_behind
    (gap,) = sequencer.step().gaps
    assert (gap.chain, gap.seq) == (one.id, 1)
    assert 11 <= gap.seconds < 60


def test_a_record_that_comes_twice_gets_one_leaf_and_is_told(
    process: Process,
    new_sequencer: NewSequencer,
    tree: Tree,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = process.open()
    records = one.link(2)
    process.store(one)
    process.insert(records)
    with caplog.at_level(logging.ERROR):
        step = new_sequencer().step()
    assert (step.added, step.doubles) == (3, 2)
    assert "claim the place of another" in caplog.text
    assert len(tree.leaves()) == 3


def test_only_one_sequencer_works_at_a_time(
    process: Process, new_sequencer: NewSequencer, tree: Tree
) -> None:
    process.open(3)
    second = new_sequencer()
    seen = []

    def in_the_middle(_first: int, _records: object) -> None:
        seen.append(second.step())

    assert new_sequencer(tell=in_the_middle).step().added == 4
    (step,) = seen
    assert (step.is_busy, step.added) == (True, 0)
    assert not second.step().is_busy
    assert tree.check() == 4


def test_two_sequencers_in_turn_make_one_tree(
    process: Process, new_sequencer: NewSequencer, tree: Tree
) -> None:
    written = threading.Event()

    def sequence() -> int:
        sequencer, added = new_sequencer(batch=7), 0
        while True:
            is_last = written.is_set()
            sequencer.state()
            step = sequencer.step()
            added += step.added
            if is_last and not (step.added or step.is_busy):
                return added

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(sequence) for _ in range(2)]
        chains = [process.open(2) for _ in range(3)]
        for _ in range(10):
            for one in chains:
                process.write(one, 3)
        written.set()
        assert sum(each.result() for each in both) == 3 * (3 + 30)
    assert tree.check() == 3 * (3 + 30)


def test_what_fails_before_the_commit_is_done_again_as_if_nothing_had_happened(
    process: Process, new_sequencer: NewSequencer, tree: Tree
) -> None:
    process.open(3)

    def fail(_first: int, _records: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        new_sequencer(tell=fail).step()
    assert tree.check() == 0
    assert tree.leaves() == []
    assert new_sequencer().step().added == 4
    assert tree.check() == 4


def test_records_are_told_in_the_order_of_their_leaves(
    process: Process, new_sequencer: NewSequencer, tree: Tree
) -> None:
    told: list[tuple[str, int]] = []

    def tell(first: int, records: object) -> None:
        assert first == len(told)
        told.extend((str(record.chain), record.seq) for record in records)  # type: ignore[attr-defined]

    for _ in range(3):
        process.open(4)
    sequencer = new_sequencer(tell=tell, batch=6)
    while sequencer.step().is_behind:
        pass
    assert told == tree.leaves()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE vaultdb_audit.checkpoint SET frontier = '\\x' || repeat('00', 32)::bytea",
        "UPDATE vaultdb_audit.checkpoint SET note = replace(note, E'\\n4\\n', E'\\n3\\n')",
        "UPDATE vaultdb_audit.checkpoint SET size = 5",
        "DELETE FROM vaultdb_audit.leaf WHERE index = 3",
        "DELETE FROM vaultdb_audit.checkpoint",
        "INSERT INTO vaultdb_audit.leaf SELECT 4, chain, 9, hash FROM vaultdb_audit.leaf LIMIT 1",
        "UPDATE vaultdb_audit.chain SET sequenced = 2",
    ],
)
def test_nothing_is_signed_on_top_of_a_tree_that_was_changed(
    process: Process, new_sequencer: NewSequencer, database: Database, change: str
) -> None:
    one = process.open(3)
    new_sequencer().step()
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(change.encode())
    process.write(one)
    with pytest.raises(CheckpointRefused, match="vaultdb audit verify"):
        new_sequencer().step()


def test_a_log_that_is_rolled_back_under_a_running_sequencer_is_refused(
    process: Process, new_sequencer: NewSequencer, database: Database
) -> None:
    one = process.open(1)
    sequencer = new_sequencer()
    sequencer.step()
    process.write(one)
    sequencer.step()
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("leaf WHERE index = 2", "checkpoint WHERE size = 3"):
            connection.execute(f"DELETE FROM vaultdb_audit.{table}".encode())
        connection.execute("UPDATE vaultdb_audit.chain SET sequenced = 1")
    with pytest.raises(CheckpointRefused, match="--new-epoch"):
        sequencer.step()


def delete(database: Database, chain: object, seq: int) -> None:
    """Take a record out of the log, as a superuser can."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "DELETE FROM vaultdb_audit.event WHERE chain = %s AND seq = %s", [chain, seq]
        )


def test_a_database_without_the_logs_tables_says_who_makes_them(
    new_sequencer: NewSequencer, database: Database
) -> None:
    with database.connect() as connection:
        connection.execute("DROP TABLE vaultdb_audit.checkpoint")
    with pytest.raises(SchemaError, match="vaultdb roles apply"):
        new_sequencer().step()
