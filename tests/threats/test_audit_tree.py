"""A superuser works on the tree, its checkpoints and its months; verification names what he did."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.postgres import Database, Postgres
from tests.integration.audit.writing import OneChain, Process
from tests.threats.verifying import Verifier
from vaultdb.audit.event import canonical, timestamp
from vaultdb.audit.kinds import PARTITION_DROPPED
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.merkle import Frontier
from vaultdb.jobs.audit.signing import NoteSigner
from vaultdb.jobs.audit.verify.findings import Problem
from vaultdb.jobs.audit.verify.trust import Kept

KEYS = MemoryAuditKeys("sequencer")
"""The chains' processes have the sequencer's role: they may announce that a month is dropped."""


@dataclass
class Signed:
    """A log with three checkpoints, at 6, 12 and 16 leaves."""

    database: Database
    one: OneChain
    other: OneChain
    kept: list[Kept]


@pytest.fixture(scope="module")
def signed(postgres: Postgres) -> Iterator[Signed]:
    database = postgres.create_database()
    verifier, process = Verifier(database, KEYS), Process(database, KEYS)
    kept = []
    one = process.open(5)
    verifier.sequence()
    kept.append(verifier.newest())
    other = process.open(5)
    verifier.sequence()
    kept.append(verifier.newest())
    process.write(one, 4)
    verifier.sequence()
    kept.append(verifier.newest())
    yield Signed(database, one, other, kept)
    postgres.drop_database(database.name)


@contextmanager
def copied(postgres: Postgres, database: Database) -> Iterator[Database]:
    name = f"attacked_{secrets.token_hex(4)}"
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(database.name)
            )
        )
    yield Database(postgres, name)
    postgres.drop_database(name)


@pytest.fixture
def verifier(signed: Signed, postgres: Postgres) -> Iterator[Verifier]:
    with copied(postgres, signed.database) as database:
        yield Verifier(database, KEYS)


Attack = Callable[..., int]


@pytest.fixture
def attack(verifier: Verifier) -> Iterator[Attack]:
    """Run a statement as the superuser with all triggers off; returns the number of rows."""
    with verifier.database.connect() as connection:
        connection.execute("SET session_replication_role = replica")

        def run(statement: str, **values: object) -> int:
            changed = connection.execute(statement.encode(), values).rowcount
            assert changed != 0, "the attack changed nothing"
            return changed

        yield run


def named(problem: Problem) -> tuple[object, ...]:
    return problem.kind, problem.chain, problem.seq, problem.index


def test_the_honest_log_is_whole(verifier: Verifier, signed: Signed) -> None:
    for offline in (False, True):
        found = verifier.verify(*signed.kept, offline=offline)
        assert found.findings.problems == []
        assert (found.leaves, found.events) == (16, 16)


def test_triggers_that_were_off_for_a_moment_do_not_hide_what_was_done(
    verifier: Verifier, signed: Signed
) -> None:
    edit = "UPDATE vaultdb_audit.event SET body = body WHERE chain = %s AND seq = 2"
    with verifier.database.connect() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute(edit, [signed.one.id])
        connection.execute("ALTER TABLE vaultdb_audit.event DISABLE TRIGGER ALL")
        connection.execute(edit.replace("= body ", "= '{}' ").encode(), [signed.one.id])
        connection.execute("ALTER TABLE vaultdb_audit.event ENABLE TRIGGER ALL")
    for offline in (False, True):
        (problem,) = verifier.problems(*signed.kept, offline=offline)
        assert named(problem) == ("changed", signed.one.id, 2, 2)


def test_a_checkpoint_whose_signature_was_changed_is_named_wherever_it_is(
    verifier: Verifier, attack: Attack
) -> None:
    attack(
        "UPDATE vaultdb_audit.checkpoint c SET note = replace(c.note, split_part(c.note, ' ', 3),"
        " split_part(o.note, ' ', 3)) FROM vaultdb_audit.checkpoint o"
        " WHERE c.size = 6 AND o.size = 12"
    )
    problems = verifier.problems()
    assert [(p.kind, p.index) for p in problems] == [("checkpoint", 6)]
    assert "signature of the note is wrong" in problems[0].what


def test_checkpoints_that_were_swapped_are_named(verifier: Verifier, attack: Attack) -> None:
    attack(
        "UPDATE vaultdb_audit.checkpoint c SET note = o.note FROM vaultdb_audit.checkpoint o"
        " WHERE c.size = 6 AND o.size = 12"
    )
    problems = verifier.problems()
    assert [(p.kind, p.index) for p in problems] == [("checkpoint", 6)]
    assert "not of the size" in problems[0].what


def test_a_sequencer_with_a_key_of_his_own_signs_nothing(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    """He has the sequencer's database login, and takes leaves and checkpoints away first."""
    attack("DELETE FROM vaultdb_audit.checkpoint")
    attack("DELETE FROM vaultdb_audit.leaf")
    attack("UPDATE vaultdb_audit.chain SET sequenced = -1")
    attack("DELETE FROM vaultdb_audit.event WHERE chain = %(c)s AND seq > 3", c=signed.other.id)
    forger = MemoryAuditKeys()
    assert Verifier(verifier.database, forger).sequence() == 14
    problems = verifier.problems()
    assert {p.kind for p in problems} == {"checkpoint"}
    assert "not signed by a key that is trusted" in problems[0].what
    kept = verifier.problems(*signed.kept)
    assert ("tree", 6) in {(p.kind, p.index) for p in kept}, "the first six are the same"
    assert "rolled-back" in {p.kind for p in kept}


def test_leaves_above_the_newest_checkpoint_are_named(verifier: Verifier, attack: Attack) -> None:
    attack("DELETE FROM vaultdb_audit.checkpoint WHERE size > 6")
    problems = verifier.problems()
    assert [named(p) for p in problems] == [("tree", None, None, 6)]
    assert "10 leaves are above" in problems[0].what


def test_a_log_without_any_checkpoint_is_named(verifier: Verifier, attack: Attack) -> None:
    attack("DELETE FROM vaultdb_audit.checkpoint")
    (problem,) = verifier.problems()
    assert problem.kind == "checkpoint"
    assert "no checkpoint that a trusted key signed" in problem.what


def test_leaves_that_were_taken_from_the_end_are_named(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    attack("DELETE FROM vaultdb_audit.leaf WHERE index >= 12")
    problems = verifier.problems()
    assert [(p.kind, p.chain, p.seq) for p in problems if p.kind == "leaf"] == [
        ("leaf", signed.one.id, seq) for seq in (6, 7, 8, 9)
    ]
    assert ("tree", 12) in {(p.kind, p.index) for p in problems}


def test_swapped_leaves_are_named(verifier: Verifier, attack: Attack) -> None:
    attack("UPDATE vaultdb_audit.leaf SET index = 107 - index WHERE index IN (3, 4)")
    attack("UPDATE vaultdb_audit.leaf SET index = index - 100 WHERE index > 100")
    problem = verifier.problems()[0]
    assert (problem.kind, problem.index) == ("tree", 0)
    assert "between leaf 0 and leaf 6" in problem.what


def test_a_chain_that_is_marked_as_done_to_hide_it_from_the_sequencer_is_named(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    process = Process(verifier.database, KEYS)
    young = process.open(3)
    attack("UPDATE vaultdb_audit.chain SET done = true WHERE chain = %(c)s", c=young.id)
    assert verifier.sequence() == 0
    problem = verifier.problems(*signed.kept)[0]
    assert named(problem) == ("leaf", young.id, 0, None)
    assert "marked as done" in problem.what


def test_a_sequencer_that_somebody_stopped_is_an_alarm_after_a_while(
    verifier: Verifier, signed: Signed
) -> None:
    young = Process(verifier.database, KEYS).open(3)
    assert verifier.problems(*signed.kept) == []
    (problem,) = verifier.verify(*signed.kept, unsigned_after=0.0).findings.problems
    assert (problem.kind, problem.chain) == ("unsigned", young.id)
    assert "audit checkpoint" in problem.remedy


def test_a_gap_that_keeps_a_chain_from_being_sequenced_is_named(
    verifier: Verifier, attack: Attack
) -> None:
    young = Process(verifier.database, KEYS).open(5)
    attack("DELETE FROM vaultdb_audit.event WHERE chain = %(c)s AND seq = 2", c=young.id)
    assert verifier.sequence() == 2
    found = verifier.verify(unsigned_after=0.0).findings.problems
    assert [(p.kind, p.chain, p.seq) for p in found] == [
        ("missing", young.id, 2),
        ("unsigned", young.id, None),
    ]


def test_columns_that_were_rebuilt_in_other_types_are_named_and_stop_nothing(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    attack("ALTER TABLE vaultdb_audit.event ALTER body TYPE jsonb USING body::jsonb")
    found = verifier.verify()
    assert found.events == 16
    assert found.findings.counts["changed"] == 16
    assert {p.chain for p in found.findings.problems} == {signed.one.id, signed.other.id}


def test_values_that_no_writer_stores_are_named_and_stop_nothing(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    for column in ("at", "body", "mac"):
        attack(f"ALTER TABLE vaultdb_audit.event ALTER {column} DROP NOT NULL")
    attack(
        "UPDATE vaultdb_audit.event SET body = NULL, at = NULL, mac = NULL"
        " WHERE chain = %(c)s AND seq = 2",
        c=signed.one.id,
    )
    problem = verifier.problems()[0]
    assert named(problem) == ("changed", signed.one.id, 2, 2)


def announce(verifier: Verifier, month: str, events: int, size: int, keys: MemoryAuditKeys) -> None:
    process = Process(verifier.database, keys)
    chain = process.open()
    said = {"event": PARTITION_DROPPED.name, "month": month, "events": events, "size": size}
    chain.linked.append(chain.chain.link(timestamp(), canonical(said)))
    process.store(chain)


def cut(attack: Attack, chain: OneChain, seq: int, month: str) -> None:
    """Do what drop_partition does, to records of one's choice."""
    attack(
        "INSERT INTO vaultdb_audit.cut (chain, seq, mac, month)"
        " SELECT chain, seq, mac, %(month)s::date FROM vaultdb_audit.event"
        " WHERE chain = %(c)s AND seq = %(seq)s",
        c=chain.id,
        seq=seq,
        month=f"{month}-01",
    )
    attack(
        "DELETE FROM vaultdb_audit.event WHERE chain = %(c)s AND seq <= %(seq)s",
        c=chain.id,
        seq=seq,
    )


THIS_MONTH = timestamp()[:7]


def test_a_month_that_was_announced_is_no_alarm(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    announce(verifier, THIS_MONTH, events=10, size=16, keys=KEYS)
    verifier.sequence()
    cut(attack, signed.one, 3, THIS_MONTH)
    cut(attack, signed.other, 5, THIS_MONTH)
    found = verifier.verify(*signed.kept)
    assert found.findings.problems == []
    assert (found.leaves, found.events) == (18, 8)
    offline = verifier.verify(*signed.kept, offline=True)
    assert offline.findings.problems == []
    assert any("1 months were dropped" in remark for remark in offline.findings.remarks)


def test_more_than_was_announced_is_an_alarm(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    announce(verifier, THIS_MONTH, events=3, size=16, keys=KEYS)
    cut(attack, signed.one, 3, THIS_MONTH)
    (problem,) = verifier.problems()
    assert problem.kind == "dropped"
    assert f"4 records of {THIS_MONTH} are gone, and 3 were announced" in problem.what


def test_what_had_no_checkpoint_when_it_was_announced_is_an_alarm(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    announce(verifier, THIS_MONTH, events=8, size=12, keys=KEYS)
    cut(attack, signed.one, 7, THIS_MONTH)
    (problem,) = verifier.problems()
    assert problem.kind == "dropped"
    assert "above the checkpoint" in problem.what


def test_a_cut_into_a_month_before_the_chain_was_opened_is_an_alarm(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    announce(verifier, "2020-01", events=100, size=16, keys=KEYS)
    cut(attack, signed.one, 3, "2020-01")
    (problem,) = verifier.problems()
    assert (problem.kind, problem.chain) == ("dropped", signed.one.id)
    assert "opened after the month 2020-01" in problem.what


def test_a_month_that_a_role_announced_which_may_not_is_an_alarm(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    """The application's process writes what looks like an announcement."""

    class Both(MemoryAuditKeys):
        def writer_public_key(self, role: str, version: int) -> bytes | None:
            found = super().writer_public_key(role, version)
            return KEYS.writer_public_key(role, version) if found is None else found

        def open(self, sealed: Sequence[str]) -> list[bytes | None]:
            own, known = super().open(sealed), KEYS.open(sealed)
            return [mine or theirs for mine, theirs in zip(own, known, strict=True)]

    application = Both("app")
    announce(verifier, THIS_MONTH, events=4, size=16, keys=application)
    cut(attack, signed.one, 3, THIS_MONTH)
    application._signer = KEYS._signer
    (problem,) = Verifier(verifier.database, application).problems()
    assert problem.kind == "dropped"
    assert "nobody who may announced it" in problem.what


def test_an_invented_cut_of_any_size_does_not_take_for_ever(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    attack(
        "INSERT INTO vaultdb_audit.cut (chain, seq, mac, month)"
        " VALUES (%(c)s, 9223372036854775806, %(mac)s, %(m)s::date)",
        c=signed.one.id,
        mac=bytes(32),
        m=f"{THIS_MONTH}-01",
    )
    assert not verifier.verify().is_good


def test_what_was_exported_before_a_restore_is_no_alarm_once_a_new_epoch_has_begun(
    verifier: Verifier, signed: Signed, attack: Attack
) -> None:
    """The state of the checkpoint of 12 leaves was restored: the four after it are lost."""
    attack("DELETE FROM vaultdb_audit.event WHERE chain = %(c)s AND seq > 5", c=signed.one.id)
    attack("DELETE FROM vaultdb_audit.leaf WHERE index >= 12")
    attack("DELETE FROM vaultdb_audit.checkpoint WHERE size > 12")
    attack("UPDATE vaultdb_audit.chain SET sequenced = 5")
    (problem,) = verifier.problems(*signed.kept)
    assert problem.kind == "rolled-back"
    begin_epoch(verifier, attack)
    Process(verifier.database, KEYS).open(7)
    assert verifier.sequence() == 8
    found = verifier.verify(*signed.kept, verifier.newest())
    assert found.findings.problems == []
    assert any("4 records of epoch 1 were signed" in remark for remark in found.findings.remarks)


def begin_epoch(verifier: Verifier, attack: Attack) -> None:
    frontier = Frontier()
    with verifier.database.connect() as connection:
        for (leaf,) in connection.execute("SELECT hash FROM vaultdb_audit.leaf ORDER BY index"):
            frontier.add(leaf)
    signed = NoteSigner(str(verifier.database.realm), KEYS).sign(2, frontier)
    attack(
        "INSERT INTO vaultdb_audit.checkpoint (epoch, size, frontier, note)"
        " VALUES (2, %(size)s, %(frontier)s, %(note)s)",
        size=frontier.size,
        frontier=frontier.dump(),
        note=signed.note,
    )
