"""Tenants on one engine: each reads and finds its own, also through SQLAlchemy's caches."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, create_engine, func, insert, select
from sqlalchemy.orm import Session

import vaultdb
from tests.integration.orm.models import Node, Patient, core_note
from vaultdb.errors import NotPrepared, VaultDBError


@pytest.fixture
def engine(matrix, keyring) -> Iterator[Engine]:
    engine = create_engine(matrix.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    yield engine
    with engine.begin() as connection:
        for table in (core_note, Patient.__table__, Node.__table__):
            connection.execute(table.delete())
    engine.dispose()


def test_each_tenant_writes_under_its_own_key(engine):
    for number, tenant in enumerate(["acme", "globex", "acme"]):
        with vaultdb.acting_as("p", tenant=tenant), engine.begin() as connection:
            connection.execute(insert(core_note).values(id=number, body=tenant))
    statement = select(core_note.c.body).where(core_note.c.id == 0)
    with vaultdb.acting_as("p", tenant="acme"), engine.connect() as connection:
        assert connection.scalar(statement) == "acme"
    for tenant in ("globex", ""):
        with (
            vaultdb.acting_as("p", tenant=tenant),
            engine.connect() as connection,
            pytest.raises(VaultDBError),
        ):
            connection.scalar(statement)


def test_the_same_statement_searches_for_the_tenant_at_hand(engine):
    for tenant in ("acme", "globex"):
        with vaultdb.acting_as("p", tenant=tenant), Session(engine) as session:
            session.add(Patient(name=tenant, ssn="1"))
            session.commit()
    for tenant in ("acme", "globex", "acme"):
        with vaultdb.acting_as("p", tenant=tenant), Session(engine) as session:
            assert session.scalars(select(Patient).where(Patient.ssn == "1")).one().name == tenant
    with vaultdb.acting_as("p", tenant="other"), Session(engine) as session:
        assert session.scalar(select(func.count()).where(Patient.ssn == "1")) == 0


def test_a_session_keeps_the_tenant_of_its_first_use(engine):
    with Session(engine) as session:
        with vaultdb.acting_as("p", tenant="acme"):
            session.add(Node(id=1, secret="s"))
            session.flush()
        session.expire_all()
        assert session.get(Node, 1).secret == "s"
        session.commit()


def test_threads_keep_their_tenants_apart(engine):
    def work(number: int) -> str:
        tenant = f"tenant{number % 3}"
        with vaultdb.acting_as("p", tenant=tenant), engine.begin() as connection:
            connection.execute(insert(core_note).values(id=100 + number, body=tenant))
            return connection.scalar(select(core_note.c.body).where(core_note.c.id == 100 + number))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(30))) == [f"tenant{n % 3}" for n in range(30)]


def test_an_engine_that_was_never_prepared_reads_nothing(engine, matrix):
    with engine.begin() as connection:
        connection.execute(insert(core_note).values(id=1, body="b"))
    bare = create_engine(matrix.sqlalchemy_url)
    try:
        with bare.connect() as connection, pytest.raises(NotPrepared, match="install"):
            connection.execute(select(core_note.c.body)).all()
    finally:
        bare.dispose()


def test_installing_twice_changes_nothing(engine, keyring):
    compiler, listeners = (
        engine.dialect.statement_compiler,
        len(list(engine.dispatch.before_execute)),
    )
    assert vaultdb.install(engine, keyring=keyring) is engine
    assert engine.dialect.statement_compiler is compiler
    assert len(list(engine.dispatch.before_execute)) == listeners
    with engine.begin() as connection:
        connection.execute(insert(core_note).values(id=1, body="once"))
        assert connection.scalar(select(core_note.c.body)) == "once"
