"""How claims reach the server: one statement at the head of a transaction, of whatever kind."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, event, insert, select, text
from sqlalchemy.orm import Session

from tests.integration.orm.claimed import NORTH, SET, SOUTH, Note, bodies, plain
from vaultdb import acting_as
from vaultdb.errors import StatementRefused
from vaultdb.orm import claims


@pytest.fixture
def engine(claimed_engine: Engine) -> Engine:
    return claimed_engine


@pytest.fixture
def sent(engine: Engine) -> list[str]:
    noted: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: noted.append(sql))
    return noted


def test_one_statement_is_added_to_each_transaction(engine, sent):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        for _ in range(2):
            for _ in range(3):
                session.execute(select(plain.c.id))
            session.commit()
    assert [SET in statement for statement in sent] == 2 * [True, False, False, False]


def test_nothing_is_added_where_no_table_declares_policies(engine, sent, monkeypatch):
    monkeypatch.setattr(claims, "_guarded", set())
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        session.execute(select(plain.c.id))
        session.commit()
    assert len(sent) == 1


def test_another_principal_in_the_same_transaction_costs_one_more(engine, sent):
    with engine.connect() as connection:
        for principal in ("ann", "ann", "bob"):
            with acting_as(principal, tenant=NORTH):
                connection.execute(select(plain.c.id))
    assert [SET in statement for statement in sent] == [True, False, False, True, False]


def test_a_transaction_can_still_begin_with_its_own_settings(engine):
    with acting_as("ann", tenant=NORTH), engine.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY")
        assert len(bodies(connection)) == 2
        assert connection.scalar(text("SHOW transaction_isolation")) == "serializable"


def test_claims_are_there_before_a_streamed_result(engine):
    with acting_as("ann", tenant=NORTH), engine.connect() as connection:
        streaming = connection.execution_options(stream_results=True, yield_per=1)
        assert sorted(streaming.scalars(select(Note.body))) == ["acme 0", "acme 1"]


def test_prepared_statements_see_the_tenant_of_each_transaction(engine):
    found = select(Note.body).where(Note.body.endswith("0"))
    for tenant in [NORTH, SOUTH] * 8:  # psycopg prepares at the fifth execution
        with acting_as("ann", tenant=tenant), Session(engine) as session:
            assert session.scalar(found) == f"{tenant} 0"
            session.commit()  # a rollback would forget what is prepared
    with engine.connect() as connection:
        prepared = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements")
        texts = prepared.scalars().all()
    assert any("FROM note" in each for each in texts)
    assert any(SET in each for each in texts)


def test_many_rows_in_one_pipeline_are_written_for_the_tenant(engine):
    with acting_as("ann", tenant=NORTH), engine.begin() as connection:
        driver = connection.connection.driver_connection
        rows = [{"tenant_id": NORTH, "body": f"p{n}"} for n in range(5)]
        with driver.pipeline():
            connection.execute(insert(Note.__table__), rows)
        assert len(bodies(connection)) == 7


def test_two_phase_transactions_are_told_too(engine):
    with acting_as("ann", tenant=NORTH), Session(engine, twophase=True) as session:
        assert len(bodies(session)) == 2


def test_autocommit_is_refused_for_a_table_that_would_look_empty(engine, sent):
    engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    with acting_as("ann", tenant=NORTH), engine.connect() as connection:
        with pytest.raises(StatementRefused, match="note shows rows to whoever acts"):
            connection.execute(select(Note.body))
        assert connection.execute(select(plain.c.id)).all() == []
    assert not any(SET in statement for statement in sent)
