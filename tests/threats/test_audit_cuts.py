"""A superuser hides behind months that retention has dropped; verification names what is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.fixtures.postgres import Database, Postgres
from tests.integration.audit.writing import OneChain, Process
from tests.threats.test_audit_tree import THIS_MONTH, announce, copied, cut
from tests.threats.verifying import Verifier
from vaultdb.audit.memory import MemoryAuditKeys

KEYS = MemoryAuditKeys("sequencer")


@dataclass
class Cut:
    """A log of two chains; the first records of one of them are dropped, as announced."""

    database: Database
    one: OneChain
    other: OneChain


@pytest.fixture(scope="module")
def cut_log(postgres: Postgres) -> Iterator[Cut]:
    database = postgres.create_database()
    verifier, process = Verifier(database, KEYS), Process(database, KEYS)
    one, other = process.open(7), process.open(5)
    verifier.sequence()
    announce(verifier, THIS_MONTH, events=4, size=14, keys=KEYS)
    verifier.sequence()
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        cut(lambda said, **values: connection.execute(said, values).rowcount, one, 3, THIS_MONTH)
    yield Cut(database, one, other)
    postgres.drop_database(database.name)


@pytest.fixture
def verifier(cut_log: Cut, postgres: Postgres) -> Iterator[Verifier]:
    with copied(postgres, cut_log.database) as database:
        yield Verifier(database, KEYS)


@pytest.fixture
def attack(verifier: Verifier) -> Iterator[Callable[..., int]]:
    with verifier.database.connect() as connection:
        connection.execute("SET session_replication_role = replica")

        def run(statement: str, **values: object) -> int:
            changed = connection.execute(statement.encode(), values).rowcount
            assert changed != 0, "the attack changed nothing"
            return changed

        yield run


def test_the_month_that_was_dropped_is_no_alarm(verifier: Verifier) -> None:
    assert verifier.problems(verifier.newest()) == []


def test_a_chain_that_is_gone_with_its_opening_is_named_whatever_month_it_was_cut_with(
    verifier: Verifier, cut_log: Cut, attack: Callable[..., int]
) -> None:
    """Announcements of older months were dropped with newer ones, so they are believed."""
    cut(attack, cut_log.other, 5, "2020-01")
    attack("DELETE FROM vaultdb_audit.chain WHERE chain = %(c)s", c=cut_log.other.id)

    problems = verifier.problems()
    assert [(p.kind, p.chain, p.seq) for p in problems] == [
        ("missing", cut_log.other.id, seq) for seq in range(6)
    ]


def test_an_older_month_below_the_one_that_was_dropped_is_named(
    verifier: Verifier, cut_log: Cut, attack: Callable[..., int]
) -> None:
    """He takes three records more than were announced, and cuts the chain again behind them."""
    cut(attack, cut_log.one, 7, "2020-01")
    attack(
        "INSERT INTO vaultdb_audit.cut (chain, seq, mac, month)"
        " SELECT chain, 8, mac, max(month) OVER () FROM vaultdb_audit.cut WHERE seq = 3"
    )

    (problem,) = verifier.problems()
    assert (problem.kind, problem.chain) == ("dropped", cut_log.one.id)
    assert "opened after the month 2020-01" in problem.what
