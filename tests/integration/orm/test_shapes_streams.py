"""Large results, server-side cursors, threads and two-phase transactions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from tests.integration.orm.models import Node, core_note

N = 300


@pytest.fixture
def many(session):
    session.execute(insert(Node), [{"id": i, "secret": f"s{i}"} for i in range(N)])
    return session


def test_yield_per_decrypts_every_batch(many):
    statement = select(Node).order_by(Node.id).execution_options(yield_per=17)
    assert [n.secret for n in many.scalars(statement)] == [f"s{i}" for i in range(N)]


def test_stream_results_decrypts_every_row(many):
    statement = select(Node.secret).order_by(Node.id)
    rows = many.execute(statement.execution_options(stream_results=True, max_row_buffer=10))
    assert [row.secret for row in rows] == [f"s{i}" for i in range(N)]


def test_partitions_and_partial_fetches(many):
    result = many.execute(select(Node.secret).order_by(Node.id))
    assert result.fetchone() == ("s0",)
    assert result.fetchmany(2) == [("s1",), ("s2",)]
    assert [len(part) for part in result.partitions(100)] == [100, 100, N - 203]


def test_freeze_and_mappings(many):
    frozen = many.execute(select(Node.id, Node.secret).order_by(Node.id).limit(2)).freeze()
    assert frozen().mappings().all() == [{"id": 0, "secret": "s0"}, {"id": 1, "secret": "s1"}]


def test_threads_share_an_engine(engine):
    def work(worker: int) -> list[str]:
        with engine.begin() as connection:
            connection.execute(
                insert(core_note),
                [{"id": worker * 10 + i, "body": f"{worker}-{i}"} for i in range(5)],
            )
            return list(
                connection.scalars(
                    select(core_note.c.body)
                    .where(core_note.c.id.between(worker * 10, worker * 10 + 9))
                    .order_by(core_note.c.id)
                )
            )

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [[f"{w}-{i}" for i in range(5)] for w in range(8)]
    with engine.begin() as connection:
        connection.execute(core_note.delete())


def test_a_two_phase_commit_keeps_its_values(engine, matrix):
    with matrix.connect() as admin:
        allowed = admin.execute("SHOW max_prepared_transactions").fetchone()
    if allowed == ("0",):
        pytest.skip("this server has max_prepared_transactions = 0")
    with Session(engine, twophase=True) as session:
        session.add(Node(id=-1, secret="two"))
        session.prepare()
        session.commit()
    with Session(engine, twophase=True) as session:
        assert session.get(Node, -1).secret == "two"
        session.delete(session.get(Node, -1))
        session.commit()


def test_autocommit_isolation_level(engine):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert(core_note).values(id=1, body="auto"))
        assert connection.scalar(select(core_note.c.body)) == "auto"
        connection.execute(core_note.delete())
        assert connection.scalar(text("SELECT count(*) FROM core_note")) == 0
