"""A superuser rebuilds the log's tables and stores what nobody stores; verification goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.fixtures.postgres import Database, Postgres
from tests.integration.audit.writing import OneChain, Process
from tests.threats.test_audit_tree import copied
from tests.threats.verifying import Verifier
from vaultdb.audit.memory import MemoryAuditKeys

KEYS = MemoryAuditKeys()
_DEEP: Final = "'" + "[" * 100_000 + "'"
_HASH: Final = "decode(repeat('00', 32), 'hex')"
_ID: Final = "gen_random_uuid()"

GARBAGE: Final = {
    "chain": [
        {"chain": "NULL", "opening": "''"},
        {"chain": _ID, "opening": "NULL"},
        {"chain": _ID, "opening": "''"},
        {"chain": _ID, "opening": _DEEP},
        {"chain": _ID, "opening": "''", "sequenced": "NULL"},
        {"chain": _ID, "opening": "''", "done": "NULL"},
        {"chain": "NULL", "opening": "NULL", "sequenced": "NULL", "done": "NULL"},
    ],
    "leaf": [
        {"index": "6", "chain": _ID, "seq": "0", "hash": "NULL"},
        {"index": "7", "chain": _ID, "seq": "NULL", "hash": _HASH},
        {"index": "NULL", "chain": _ID, "seq": "0", "hash": _HASH},
        {"index": "9", "chain": "NULL", "seq": "0", "hash": _HASH},
    ],
    "checkpoint": [
        {"size": "NULL", "frontier": "''", "note": "''"},
        {"size": "6", "frontier": "''", "note": "NULL"},
        {"size": "6", "epoch": "NULL", "frontier": "''", "note": "''"},
        {"size": "6", "frontier": "''", "note": "repeat(E'\\n', 9)"},
    ],
    "cut": [
        {"chain": _ID, "seq": "0", "mac": _HASH, "month": "NULL"},
        {"chain": _ID, "seq": "NULL", "mac": "NULL", "month": "'infinity'"},
        {"chain": "NULL", "seq": "0", "mac": _HASH, "month": "'-infinity'"},
        {"chain": _ID, "seq": "0", "mac": _HASH, "month": "'10000-01-01'"},
    ],
    "event": [
        {"chain": _ID, "seq": "0", "at": "''", "body": _DEEP, "mac": _HASH, "recorded_at": "NULL"},
        {"chain": _ID, "seq": "NULL", "at": "NULL", "body": "NULL", "mac": "NULL"},
        {"chain": "NULL", "seq": "0", "at": "''", "body": "''", "mac": "''"},
    ],
}
NAMED: Final = {"chain": 7, "leaf": 4, "checkpoint": 4, "cut": 2, "event": 3}
"""Problems that there are at least; cuts are told of by month, and all that is none is one."""


@dataclass
class Log:
    verifier: Verifier
    one: OneChain


@pytest.fixture(scope="module")
def whole(postgres: Postgres) -> Iterator[tuple[Database, OneChain]]:
    database = postgres.create_database()
    one = Process(database, KEYS).open(5)
    Verifier(database, KEYS).sequence()
    yield database, one
    postgres.drop_database(database.name)


@pytest.fixture
def log(whole: tuple[Database, OneChain], postgres: Postgres) -> Iterator[Log]:
    with copied(postgres, whole[0]) as database:
        yield Log(Verifier(database, KEYS), whole[1])


def without_constraints(table: str) -> list[str]:
    name = f"vaultdb_audit.{table}"
    constraints = (
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT conname FROM pg_constraint"
        f" WHERE conrelid = '{name}'::regclass AND conislocal LOOP"
        f" EXECUTE 'ALTER TABLE {name} DROP CONSTRAINT ' || quote_ident(name); END LOOP; END $$"
    )
    columns = (
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT attname FROM pg_attribute"
        f" WHERE attrelid = '{name}'::regclass AND attnum > 0 AND attnotnull LOOP"
        f" EXECUTE 'ALTER TABLE {name} ALTER ' || quote_ident(name) || ' DROP NOT NULL';"
        " END LOOP; END $$"
    )
    return [constraints, columns]


def run(log: Log, *statements: str) -> None:
    with log.verifier.database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())


@pytest.mark.parametrize("table", list(GARBAGE))
def test_rows_that_nobody_stores_are_named_and_hide_nothing(log: Log, table: str) -> None:
    run(
        log,
        *without_constraints(table),
        *(
            f"INSERT INTO vaultdb_audit.{table} ({', '.join(row)}) VALUES ({', '.join(row.values())})"
            for row in GARBAGE[table]
        ),
        f"UPDATE vaultdb_audit.event SET body = body || ' ' WHERE seq = 3 AND chain = '{log.one.id}'",
    )

    found = log.verifier.verify().findings

    assert ("changed", log.one.id, 3) in {(p.kind, p.chain, p.seq) for p in found.problems}
    assert found.total > NAMED[table]


def test_columns_of_another_type_stop_nothing(log: Log) -> None:
    for name in ("chain.sequenced", "leaf.index", "checkpoint.size", "event.seq"):
        table, _, column = name.partition(".")
        run(
            log,
            f"ALTER TABLE vaultdb_audit.{table} ALTER {column} DROP DEFAULT,"
            f" ALTER {column} TYPE numeric",
        )

    found = log.verifier.verify()
    assert found.events == 6
    assert not found.is_good


def test_the_mac_that_a_chain_was_cut_with_cannot_be_left_out(log: Log) -> None:
    """Else the first record behind the cut was believed."""
    young = Process(log.verifier.database, KEYS).open(3)
    run(
        log,
        *without_constraints("cut"),
        "INSERT INTO vaultdb_audit.cut (chain, seq, month)"
        f" VALUES ('{young.id}', 1, clock_timestamp())",
        f"DELETE FROM vaultdb_audit.event WHERE chain = '{young.id}' AND seq < 2",
    )

    problems = {(p.kind, p.chain, p.seq) for p in log.verifier.problems()}
    assert ("changed", young.id, 2) in problems
