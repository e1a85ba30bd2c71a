"""The database's superuser changes records of the audit log; verification names each."""

from __future__ import annotations

import secrets

import pytest

from tests.fixtures.postgres import Database
from tests.integration.audit.writing import Process
from tests.threats import audit_clinic
from tests.threats.audit_clinic import KEYS, Attack, Clinic, first, verified
from vaultdb.audit.chain import record_mac
from vaultdb.audit.event import canonical, timestamp
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.merkle import Frontier, hash_of_leaf
from vaultdb.audit.note import Checkpoint, SignedNote, VerifierKey

clinic, copy, attack = audit_clinic.clinic, audit_clinic.copy, audit_clinic.attack


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
