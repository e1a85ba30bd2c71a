"""The superuser takes away, adds or cuts whole chains of the audit log; verification says so."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.fixtures.postgres import Database
from tests.integration.audit.writing import Process
from tests.threats import audit_clinic
from tests.threats.audit_clinic import KEYS, Attack, Clinic, first, newest, sequence, verified
from vaultdb.audit.chain import Chain
from vaultdb.audit.event import canonical, timestamp
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.db.auditlog.inserting import insert_chain

clinic, copy, attack = audit_clinic.clinic, audit_clinic.copy, audit_clinic.attack


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


def test_a_process_cannot_accuse_the_chains_of_another(clinic: Clinic, copy: Database) -> None:
    """It could leave a false alarm in the log for ever."""
    process = Process(copy, KEYS)
    chain = process.open(1)
    heads = [{"chain": clinic.one.id.hex, "seq": 10_000}]
    body = canonical({"event": "chain.heartbeat", "chains": heads})
    chain.linked.append(chain.chain.link(timestamp(), body))
    process.store(chain)

    assert verified(copy).is_good


def test_an_announcement_behind_a_gap_without_end_is_not_believed(
    clinic: Clinic, copy: Database, attack: Attack
) -> None:
    """No MAC can be checked there, so anybody may have written it."""
    attack(
        "INSERT INTO vaultdb_audit.event (chain, seq, at, body, mac)"
        " VALUES (%(c)s, 9000000000, %(at)s, %(body)s, %(mac)s)",
        c=clinic.young.id,
        at=timestamp(),
        body=canonical({"event": "chain.heartbeat", "chains": [
            {"chain": clinic.young.id.hex, "seq": 9_999_999_999}
        ]}),
        mac=bytes(32),
    )  # fmt: skip

    kinds = verified(copy).findings.counts
    assert kinds["missing"] == 1
    assert kinds["truncated"] == 0


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
