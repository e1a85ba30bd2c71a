"""The database's superuser works on the audit log; verification names what he did."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from tests.fixtures.postgres import Database, Postgres
from tests.integration.audit.writing import OneChain, Process
from vaultdb.audit.chain import Chain, record_mac
from vaultdb.audit.event import canonical, timestamp
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.merkle import Frontier, hash_of_leaf
from vaultdb.audit.note import Checkpoint, SignedNote, VerifierKey
from vaultdb.db.auditlog.inserting import insert_chain
from vaultdb.db.connect import new_engine
from vaultdb.jobs.audit.sequencer import Sequencer
from vaultdb.jobs.audit.signing import NoteSigner
from vaultdb.jobs.audit.verify.findings import Problem
from vaultdb.jobs.audit.verify.run import Verification, verify
from vaultdb.jobs.audit.verify.trust import Kept, Trust
from vaultdb.settings import DatabaseSettings

KEYS = MemoryAuditKeys()
SUPERUSER = "SET session_replication_role = replica"
"""Switches triggers off, as only a superuser may."""


@dataclass
class Clinic:
    """A log with four chains: two that go on, one that was closed, one without leaves yet."""

    database: Database
    one: OneChain
    other: OneChain
    closed: OneChain
    young: OneChain
    kept: Kept


@pytest.fixture(scope="module")
def clinic(postgres: Postgres) -> Iterator[Clinic]:
    database = postgres.create_database()
    process = Process(database, KEYS)
    one, other, closed = process.open(5), process.open(5), process.open(2)
    process.close(closed)
    sequence(database)
    kept = newest(database)
    process.write(one, 3)
    sequence(database)
    young = process.open(3)
    beat(process, other, one, young)
    yield Clinic(database, one, other, closed, young, kept)
    postgres.drop_database(database.name)


def beat(process: Process, teller: OneChain, *others: OneChain) -> None:
    """Write a heartbeat of these chains into another one."""
    heads = [{"chain": each.id.hex, "seq": each.chain.head.seq - 1} for each in others]
    body = canonical({"event": "chain.heartbeat", "chains": heads})
    teller.linked.append(teller.chain.link(timestamp(), body))
    process.store(teller)


def sequence(database: Database, *, every: bool = True) -> None:
    url = SecretStr(database.url_for("vaultdb_audit_sequencer"))
    engine = new_engine(DatabaseSettings(url=url))
    try:
        sequencer = Sequencer(engine, NoteSigner(str(database.realm), KEYS))
        while sequencer.step().is_behind:
            assert every
    finally:
        engine.dispose()


def newest(database: Database) -> Kept:
    """Take the newest checkpoint out of the database's reach."""
    with database.connect() as connection:
        row = connection.execute(
            "SELECT note FROM vaultdb_audit.checkpoint ORDER BY epoch DESC, size DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    return trust(database).read(row[0])


def trust(database: Database, *kept: Kept, offline: bool = False) -> Trust:
    if offline:
        return Trust(str(database.realm), (KEYS.public_key,), kept=kept)
    return Trust(str(database.realm), (KEYS.public_key,), KEYS, KEYS, kept)


def verified(database: Database, *kept: Kept, offline: bool = False) -> Verification:
    """Verify by the auditor's own login."""
    with psycopg.connect(database.url_for("vaultdb_audit_reader"), autocommit=True) as connection:
        return verify(
            connection,
            trust(database, *kept, offline=offline),
            lambda _what, _total: lambda _n: None,
        )


@pytest.fixture
def copy(clinic: Clinic, postgres: Postgres) -> Iterator[Database]:
    """The same log, for one test to work on."""
    name = f"attacked_{secrets.token_hex(4)}"
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(clinic.database.name)
            )
        )
    yield Database(postgres, name)
    postgres.drop_database(name)


Attack = Callable[..., list[tuple]]


@pytest.fixture
def attack(copy: Database) -> Iterator[Attack]:
    """Run statements as the superuser, with all triggers off."""
    with copy.connect() as connection:
        connection.execute(SUPERUSER)

        def run(statement: str, **values: object) -> list[tuple]:
            cursor = connection.execute(statement, values)
            assert cursor.rowcount != 0, "the attack changed nothing"
            return cursor.fetchall() if cursor.description else []

        yield run


def first(found: Verification) -> Problem:
    assert found.findings.first is not None
    return found.findings.first


def test_an_honest_log_is_whole(clinic: Clinic) -> None:
    found = verified(clinic.database, clinic.kept)

    assert found.findings.problems == []
    assert found.is_good
    assert found.events == 9 + 7 + 4 + 4
    assert found.leaves == 6 + 6 + 4 + 3
    assert found.unsequenced == 5
    assert verified(clinic.database, clinic.kept, offline=True).is_good


@pytest.mark.parametrize("seq", [0, 3, 8])
def test_an_edited_record_is_named(
    clinic: Clinic, copy: Database, attack: Attack, seq: int
) -> None:
    attack(
        "UPDATE vaultdb_audit.event SET body = replace(body, 'event', 'evens')"
        " WHERE chain = %(chain)s AND seq = %(seq)s",
        chain=clinic.one.id,
        seq=seq,
    )

    for offline in (False, True):
        problem = first(verified(copy, offline=offline))
        assert (problem.kind, problem.chain, problem.seq) == ("changed", clinic.one.id, seq)


def test_a_back_dated_record_is_named(clinic: Clinic, copy: Database, attack: Attack) -> None:
    attack(
        "UPDATE vaultdb_audit.event SET at = '2020-01-01T00:00:00.000000Z',"
        " recorded_at = '2020-01-01' WHERE chain = %(chain)s AND seq = 2",
        chain=clinic.one.id,
    )

    problem = first(verified(copy))
    assert (problem.kind, problem.seq) == ("changed", 2)
    assert problem.at == "2020-01-01T00:00:00.000000Z"


def test_a_record_that_is_not_in_the_tree_yet_is_named_too(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    attack(
        "UPDATE vaultdb_audit.event SET body = body || ' ' WHERE chain = %(chain)s AND seq = 1",
        chain=clinic.young.id,
    )

    problem = first(verified(copy))
    assert (problem.kind, problem.chain, problem.seq) == ("changed", clinic.young.id, 1)


def test_an_edit_with_its_leaf_and_every_checkpoint_is_named(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    """He computes the tree anew, and cannot sign it."""
    ((at, body, mac),) = attack(
        "SELECT at, body, mac FROM vaultdb_audit.event WHERE chain = %(chain)s AND seq = 2",
        chain=clinic.one.id,
    )
    forged = body.replace("noted", "voted")
    leaf = hash_of_leaf(clinic.one.id.bytes, 2, at, forged, mac)
    here = {"chain": clinic.one.id, "body": forged, "leaf": leaf}
    attack(
        "UPDATE vaultdb_audit.event SET body = %(body)s WHERE chain = %(chain)s AND seq = 2", **here
    )
    attack(
        "UPDATE vaultdb_audit.leaf SET hash = %(leaf)s WHERE chain = %(chain)s AND seq = 2", **here
    )
    rewrite_checkpoints(copy, attack)

    found = verified(copy)
    assert {problem.kind for problem in found.findings.problems} >= {"changed", "checkpoint"}
    offline = verified(copy, offline=True)
    assert first(offline).kind == "checkpoint"
    kept = first(verified(copy, clinic.kept, offline=True))
    assert (kept.kind, kept.index) == ("tree", 0)
    assert "exported checkpoint of size 16" in kept.what


def rewrite_checkpoints(copy: Database, attack: Attack) -> None:
    frontier = Frontier()
    for (leaf,) in attack("SELECT hash FROM vaultdb_audit.leaf ORDER BY index"):
        frontier.add(leaf)
        for (note,) in attack(
            "SELECT max(note) FROM vaultdb_audit.checkpoint WHERE size = %(size)s",
            size=frontier.size,
        ):
            if note is not None:
                signed = SignedNote.parse(note)
                origin = Checkpoint.parse(signed.text).origin
                text = Checkpoint(origin, frontier.size, frontier.root()).text()
                forger = MemoryAuditKeys()
                forged = SignedNote.signed(
                    text, VerifierKey(origin, KEYS.public_key), forger.sign(text.encode())
                )
                attack(
                    "UPDATE vaultdb_audit.checkpoint SET note = %(note)s WHERE size = %(size)s",
                    note=str(forged),
                    size=frontier.size,
                )


@pytest.mark.parametrize("with_leaf", [False, True], ids=["leaf stays", "leaf goes too"])
def test_a_deleted_record_is_named(
    clinic: Clinic, copy: Database, attack: Attack, *, with_leaf: bool
) -> None:
    here = {"chain": clinic.other.id}
    attack("DELETE FROM vaultdb_audit.event WHERE chain = %(chain)s AND seq = 3", **here)
    if with_leaf:
        ((index,),) = attack(
            "DELETE FROM vaultdb_audit.leaf WHERE chain = %(chain)s AND seq = 3 RETURNING index",
            **here,
        )
        attack("UPDATE vaultdb_audit.leaf SET index = index - 1 WHERE index > %(i)s", i=index)

    found = verified(copy)
    missing = [p for p in found.findings.problems if p.kind == "missing"]
    assert {(p.chain, p.seq) for p in missing} == {(clinic.other.id, 3)}
    assert not verified(copy, offline=True).is_good


@pytest.mark.parametrize("tables", [["event"], ["event", "chain"], ["event", "chain", "leaf"]])
def test_a_deleted_chain_is_noticed(
    clinic: Clinic, copy: Database, attack: Attack, tables: list[str]
) -> None:
    for table in tables:
        attack(f"DELETE FROM vaultdb_audit.{table} WHERE chain = %(c)s", c=clinic.closed.id)

    found = verified(copy)
    kinds = found.findings.counts
    if tables == ["event"]:
        assert kinds["chain-empty"] == 1
    if "leaf" in tables:
        assert kinds["tree"] >= 1
    else:
        assert kinds["missing"] == 4
        assert {p.chain for p in found.findings.problems} == {clinic.closed.id}


def test_a_deleted_chain_without_leaves_contradicts_a_heartbeat(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    for table in ("event", "chain"):
        attack(f"DELETE FROM vaultdb_audit.{table} WHERE chain = %(c)s", c=clinic.young.id)

    problem = first(verified(copy))
    assert (problem.kind, problem.chain) == ("truncated", clinic.young.id)


def test_swapped_records_are_named(clinic: Clinic, copy: Database, attack: Attack) -> None:
    attack(
        "UPDATE vaultdb_audit.event SET seq = 5 - seq, recorded_at = recorded_at"
        " WHERE chain = %(chain)s AND seq IN (2, 3)",
        chain=clinic.one.id,
    )

    problems = verified(copy).findings.problems
    assert [(p.kind, p.seq) for p in problems[:2]] == [("changed", 2), ("changed", 3)]


def test_a_record_that_was_moved_to_another_chain_is_named(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    attack(
        "UPDATE vaultdb_audit.event SET chain = %(to)s, seq = 7"
        " WHERE chain = %(chain)s AND seq = 8",
        chain=clinic.one.id,
        to=clinic.other.id,
    )

    problems = verified(copy).findings.problems
    assert ("changed", clinic.other.id, 7) in {(p.kind, p.chain, p.seq) for p in problems}
    assert ("missing", clinic.one.id, 8) in {(p.kind, p.chain, p.seq) for p in problems}


def test_a_forged_record_at_the_end_of_a_chain_is_named(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    attack(
        "INSERT INTO vaultdb_audit.event (chain, seq, at, body, mac)"
        " VALUES (%(c)s, 4, %(at)s, %(body)s, %(mac)s)",
        c=clinic.young.id,
        at=timestamp(),
        body=canonical({"event": "data.read", "principal": "dr-jones"}),
        mac=secrets.token_bytes(32),
    )

    problem = first(verified(copy))
    assert (problem.kind, problem.chain, problem.seq) == ("changed", clinic.young.id, 4)
    assert problem.event == "data.read"


def test_a_chain_that_nobody_was_certified_for_is_named(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    """A superuser knows the escrow key, for it is public, and has no Vault login."""
    del attack
    forger = Process(copy, MemoryAuditKeys())
    chain = forger.open(3)

    problem = first(verified(copy))
    assert (problem.kind, problem.chain) == ("opening", chain.id)
    assert "did not certify" in problem.what


def test_a_copied_opening_does_not_make_a_chain(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    stranger = uuid4()
    attack(
        "INSERT INTO vaultdb_audit.chain (chain, opening)"
        " SELECT %(new)s, opening FROM vaultdb_audit.chain WHERE chain = %(c)s",
        new=stranger,
        c=clinic.one.id,
    )
    attack(
        "INSERT INTO vaultdb_audit.event (chain, seq, at, body, mac)"
        " SELECT %(new)s, seq, at, body, mac FROM vaultdb_audit.event WHERE chain = %(c)s",
        new=stranger,
        c=clinic.one.id,
    )

    assert ("opening", stranger) in {(p.kind, p.chain) for p in verified(copy).findings.problems}


def test_a_replayed_record_is_named(clinic: Clinic, copy: Database, attack: Attack) -> None:
    attack(
        "INSERT INTO vaultdb_audit.event (recorded_at, chain, seq, at, body, mac)"
        " SELECT recorded_at + interval '1 second', chain, seq, at, body, mac"
        " FROM vaultdb_audit.event WHERE chain = %(c)s AND seq = 2",
        c=clinic.one.id,
    )

    problem = first(verified(copy))
    assert (problem.kind, problem.chain, problem.seq) == ("duplicate", clinic.one.id, 2)


def test_the_key_of_the_running_process_does_not_rewrite_the_past(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    """He reads it out of the process's memory, which has the key of the next record only."""
    head = clinic.young.chain.head
    ((at, body, mac),) = attack(
        "SELECT at, body, mac FROM vaultdb_audit.event WHERE chain = %(c)s AND seq = 2",
        c=clinic.young.id,
    )
    forged = body.replace("noted", "voted")
    new_mac = record_mac(head.key, mac, clinic.young.id, 3, at=at, body=forged)
    attack(
        "UPDATE vaultdb_audit.event SET body = %(body)s, mac = %(mac)s"
        " WHERE chain = %(c)s AND seq = 3",
        c=clinic.young.id,
        body=forged,
        mac=new_mac,
    )

    problem = first(verified(copy))
    assert (problem.kind, problem.chain, problem.seq) == ("changed", clinic.young.id, 3)


def test_a_partition_that_nobody_announced_to_drop_is_noticed(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    ((month,),) = attack(
        "SELECT DISTINCT to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY_MM')"
        " FROM vaultdb_audit.event"
    )
    with copy.connect() as connection:
        connection.execute(f"DROP TABLE vaultdb_audit.event_{month}")

    found = verified(copy)
    assert found.findings.counts["missing"] == 19
    assert found.findings.counts["chain-empty"] == 4


def test_a_month_that_was_cut_with_an_invented_cut_is_noticed(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    attack(
        "INSERT INTO vaultdb_audit.cut (chain, seq, mac, month)"
        " SELECT chain, seq, mac, date '2026-11-01' FROM vaultdb_audit.event"
        " WHERE chain = %(c)s AND seq = 3",
        c=clinic.one.id,
    )
    attack("DELETE FROM vaultdb_audit.event WHERE chain = %(c)s AND seq <= 3", c=clinic.one.id)

    problem = first(verified(copy))
    assert problem.kind == "dropped"
    assert "2026-11" in problem.what


def test_a_log_that_was_rolled_back_is_noticed_with_an_exported_checkpoint(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    after = newest(copy)
    for chain in (clinic.one, clinic.other):
        attack("DELETE FROM vaultdb_audit.event WHERE chain = %(c)s AND seq > 5", c=chain.id)
    attack("DELETE FROM vaultdb_audit.event WHERE chain = %(c)s", c=clinic.young.id)
    attack("DELETE FROM vaultdb_audit.chain WHERE chain = %(c)s", c=clinic.young.id)
    attack("DELETE FROM vaultdb_audit.leaf WHERE index >= 16")
    attack("DELETE FROM vaultdb_audit.checkpoint WHERE size > 16")
    attack("UPDATE vaultdb_audit.chain SET sequenced = 5 WHERE chain = %(c)s", c=clinic.one.id)

    assert verified(copy).is_good, "the database alone cannot tell"
    problem = first(verified(copy, after))
    assert problem.kind == "rolled-back"
    assert "size 19" in problem.what


def test_a_cut_tail_below_the_checkpoint_is_noticed(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    attack("DELETE FROM vaultdb_audit.event WHERE chain = %(c)s AND seq > 6", c=clinic.one.id)

    problems = {(p.kind, p.chain, p.seq) for p in verified(copy).findings.problems}
    assert ("truncated", clinic.one.id, 7) in problems
    assert ("missing", clinic.one.id, 7) in problems


def test_a_cut_tail_above_the_checkpoint_contradicts_a_heartbeat(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    """The window that is left is from a record to the next heartbeat or checkpoint: a second."""
    attack("DELETE FROM vaultdb_audit.event WHERE chain = %(c)s AND seq = 3", c=clinic.young.id)

    problem = first(verified(copy))
    assert (problem.kind, problem.chain, problem.seq) == ("truncated", clinic.young.id, 3)


def test_what_was_added_after_a_chain_was_closed_is_named(clinic: Clinic, copy: Database) -> None:
    process = Process(copy, KEYS)
    chain = process.open(1)
    process.close(chain)
    process.write(chain)

    problem = first(verified(copy))
    assert (problem.kind, problem.chain, problem.seq) == ("after-closing", chain.id, 3)


def test_a_chain_that_begins_with_another_opening_is_named(clinic: Clinic, copy: Database) -> None:
    keys = KEYS
    process = Process(copy, keys)
    chain, opening = process._writer.open("vaultdb_app", keys.escrow())
    _, second = process._writer.open("vaultdb_app", keys.escrow())
    body = canonical({"event": "chain.opened", "opening": "00" * 32})
    with process.connect() as connection, connection.cursor() as cursor:
        insert_chain(cursor, opening)
    process.insert([chain.link(timestamp(), body)])
    assert second.chain != opening.chain

    problem = first(verified(copy))
    assert (problem.kind, problem.chain) == ("opening", chain.id)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        '{"event":"chain.heartbeat"}',
        '{"event":"chain.opened","opening":7}',
        '{"event":"chain.heartbeat","chains":[{"chain":"x","seq":"y"}]}',
        '{"event":"chain.' * 9,
    ],
)
def test_authentic_nonsense_is_named_and_stops_nothing(copy: Database, body: str) -> None:
    process = Process(copy, KEYS)
    chain = process.open(1)
    chain.linked.append(chain.chain.link(timestamp(), body))
    process.store(chain)
    process.write(chain, 2)

    found = verified(copy)
    assert found.events == 24 + 5
    assert {p.seq for p in found.findings.problems} <= {2}
    assert ("event" in body) is (not found.is_good)


def test_a_gap_of_any_size_is_named_and_does_not_take_for_ever(copy: Database) -> None:
    process = Process(copy, KEYS)
    chain = process.open(1)
    with copy.connect() as connection:
        connection.execute(
            "INSERT INTO vaultdb_audit.event (chain, seq, at, body, mac)"
            " VALUES (%s, %s, '', '{}', %s)",
            [chain.id, 2**62, bytes(32)],
        )

    problem = first(verified(copy))
    assert (problem.kind, problem.seq) == ("missing", 2)


def test_a_swallowing_trigger_is_seen_by_the_writer_and_in_roles(
    clinic: Clinic, copy: Database
) -> None:
    from vaultdb.errors import AuditUnavailable

    with copy.connect() as connection:
        connection.execute(
            "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NULL; END'"
        )
        connection.execute(
            "CREATE TRIGGER swallow BEFORE INSERT ON vaultdb_audit.event"
            " FOR EACH ROW EXECUTE FUNCTION public.swallow()"
        )

    with pytest.raises(AuditUnavailable):
        Process(copy, KEYS).open(1)


def test_a_fork_that_goes_on_with_a_chain_is_refused(clinic: Clinic, monkeypatch) -> None:
    from vaultdb.errors import AuditUnavailable

    chain = Chain(bytes(32), UUID(int=1))
    monkeypatch.setattr("os.getpid", lambda: -1)

    with pytest.raises(AuditUnavailable, match="after a fork"):
        chain.link(timestamp(), "{}")


def test_a_clock_that_jumps_is_no_alarm(copy: Database) -> None:
    process = Process(copy, KEYS)
    chain = process.open(1)
    for at in ("2031-01-01T00:00:00.000000Z", "1999-12-31T23:59:59.999999Z"):
        chain.linked.append(chain.chain.link(at, canonical({"event": "test.noted"})))
    process.store(chain)
    sequence(copy)

    assert verified(copy).is_good
