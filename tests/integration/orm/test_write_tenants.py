"""Whose keys are used: the Session's, the block's, the engine's; in turns, in threads, in tasks."""

from __future__ import annotations

import asyncio
import threading
import uuid

import pytest
import pytest_asyncio
from sqlalchemy import create_engine, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import vaultdb
from tests.integration.orm.models import Patient, Visit, core_note
from vaultdb import acting_as
from vaultdb.errors import ConfigurationError, DecryptionError, StatementRefused
from vaultdb.guard.principal import Acting
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.orm.scope import PRINCIPAL_KEY, acting_for
from vaultdb.vault.providers.memory import MemoryProvider

TENANTS = ("acme", "globex")


@pytest.fixture
def tenants(engine):
    """One note of each tenant, and nothing afterwards."""
    with engine.begin() as connection:
        for number, tenant in enumerate(TENANTS):
            with acting_as("test", tenant=tenant):
                connection.execute(insert(core_note), {"id": number, "body": tenant})
    yield
    with engine.begin() as connection:
        for table in (core_note, Visit.__table__, Patient.__table__):
            connection.execute(delete(table))


def _body(connection, number):
    return connection.scalar(select(core_note.c.body).where(core_note.c.id == number))


def test_each_tenant_reads_its_own_rows_and_no_others(engine, tenants):
    with engine.connect() as connection:
        for number, tenant in enumerate(TENANTS):
            with acting_as("test", tenant=tenant):
                assert _body(connection, number) == tenant
                with pytest.raises(DecryptionError):
                    _body(connection, 1 - number)
        with pytest.raises(DecryptionError):
            _body(connection, 0)


def test_the_engine_names_the_tenant_outside_of_a_block(matrix, keyring, tenants):
    engine = create_engine(matrix.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring, tenant="acme")
    with engine.connect() as connection:
        assert _body(connection, 0) == "acme"
        with acting_as("dr-jones"):
            assert _body(connection, 0) == "acme"
    engine.dispose()


def test_results_of_two_tenants_are_read_in_turns(engine, tenants):
    """Each result keeps the tenant that it was executed for, whoever executes in between."""
    with engine.connect() as first, engine.connect() as second:
        results = []
        for connection, tenant in ((first, "acme"), (second, "globex")):
            with acting_as("test", tenant=tenant):
                start = 100 if connection is first else 200
                rows = [{"id": start + n, "body": tenant} for n in range(5)]
                connection.execute(insert(core_note), rows)
                wanted = select(core_note.c.body).where(core_note.c.id >= start)
                result = connection.execution_options(yield_per=2).execute(wanted)
                results.append(result.scalars())
        assert list(zip(*results, strict=True)) == [TENANTS] * 5


def test_a_session_keeps_whom_it_was_first_used_by(engine, tenants):
    with Session(engine) as session:
        with acting_as("dr-jones", tenant="acme"):
            patient = Patient(id=uuid.UUID(int=1), name="Ada", visits=[Visit(note="n")])
            session.add(patient)
        session.commit()  # flushed after the block
        assert patient.name == "Ada"  # loaded after the block
        assert [visit.note for visit in patient.visits] == ["n"]
        assert acting_for(session.connection()) == Acting("dr-jones", "acme")
    with Session(engine) as session, acting_as("dr-jones", tenant="acme"):
        assert session.scalars(select(Patient.name)).one() == "Ada"


def test_a_session_that_holds_objects_of_one_tenant_refuses_another(engine, tenants):
    with Session(engine) as session:
        with acting_as("test", tenant="acme"):
            kept = Patient(id=uuid.UUID(int=1), name="Ada")
            session.add(kept)
            session.flush()
        with (
            acting_as("test", tenant="globex"),
            pytest.raises(StatementRefused, match="holds objects of tenant 'acme'"),
        ):
            session.scalars(select(Patient.name)).all()
        session.rollback()
        session.close()
        with acting_as("test", tenant="globex"):
            assert session.scalar(select(core_note.c.body).where(core_note.c.id == 1)) == "globex"


def test_an_object_added_for_one_tenant_is_not_flushed_for_another(engine, tenants):
    with Session(engine) as session:
        with acting_as("test", tenant="acme"):
            session.add(Patient(name="Ada"))
        with acting_as("test", tenant="globex"), pytest.raises(StatementRefused, match="acme"):
            session.flush()


@pytest.mark.parametrize("stated", ["dr-jones", Acting("dr-jones", "acme")], ids=["name", "acting"])
def test_what_the_session_says_wins_over_the_block(stated, engine, tenants):
    with (
        Session(engine, info={PRINCIPAL_KEY: stated}) as session,
        acting_as("somebody", tenant="globex"),
    ):
        assert acting_for(session.connection()).principal == "dr-jones"
        tenant = stated.tenant if isinstance(stated, Acting) else "globex"
        assert _body(session, TENANTS.index(tenant)) == tenant


def test_a_principal_of_another_type_is_refused(engine):
    with (
        Session(engine, info={PRINCIPAL_KEY: 7}) as session,
        pytest.raises(ConfigurationError, match="Acting or the name"),
    ):
        _body(session, 0)


def test_an_update_uses_the_tenant_too(engine, tenants):
    with engine.begin() as connection:
        with acting_as("test", tenant="globex"):
            connection.execute(update(core_note).where(core_note.c.id == 1).values(body="new"))
            assert _body(connection, 1) == "new"
        with acting_as("test", tenant="acme"), pytest.raises(DecryptionError):
            _body(connection, 1)


def test_threads_have_tenants_of_their_own(engine, tenants):
    wrong = []
    start = threading.Barrier(4)

    def work(number):
        tenant = TENANTS[number % 2]
        with acting_as("test", tenant=tenant), Session(engine) as session:
            start.wait()
            wrong.extend(
                found for _ in range(20) if (found := _body(session, number % 2)) != tenant
            )

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest_asyncio.fixture
async def async_engine(matrix, keyring):
    engine = create_async_engine(matrix.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    yield engine
    await engine.dispose()


@pytest.mark.asyncio
async def test_tasks_have_tenants_of_their_own(async_engine, tenants):
    async def work(number):
        with acting_as("test", tenant=TENANTS[number]):
            async with AsyncSession(async_engine) as session:
                found = []
                for _ in range(10):
                    result = await session.stream_scalars(
                        select(core_note.c.body).where(core_note.c.id == number)
                    )
                    await asyncio.sleep(0)
                    found += await result.all()
                return set(found)

    assert await asyncio.gather(work(0), work(1)) == [{"acme"}, {"globex"}]


class WatchedStore(MemoryKeyStore):
    """Notes which threads ask it."""

    def __init__(self):
        super().__init__()
        self.threads = set()

    def by_scopes(self, realm, scopes):
        self.threads.add(threading.current_thread())
        return super().by_scopes(realm, scopes)


WRITE = insert(core_note).values(id=1, body="b")
READ = select(core_note.c.body)
SEARCH = select(Patient.name).where(Patient.ssn == "1")


@pytest.mark.asyncio
@pytest.mark.parametrize("statement", [WRITE, READ, SEARCH], ids=["write", "read", "search"])
async def test_cold_keys_are_fetched_off_the_event_loop(statement, matrix, realm):
    store = WatchedStore()
    keyring = Keyring(realm=realm, provider=MemoryProvider(), store=store, create_keys=True)
    keyring.active("", "default")
    keyring.index_keys("", "default")
    engine = create_async_engine(matrix.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    async with engine.connect() as connection:
        await connection.scalar(select(core_note.c.id).limit(1))
        keyring.flush()
        store.threads.clear()
        await connection.execute(statement)
    await engine.dispose()
    assert store.threads
    assert threading.main_thread() not in store.threads
