"""asyncio: AsyncSession and AsyncConnection, with warm keys and with cold ones."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import selectinload

import vaultdb
from tests.integration.orm.models import Patient, Visit, core_note
from vaultdb.errors import StatementRefused

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def engine(matrix, keyring) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(matrix.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    yield engine
    async with engine.begin() as connection:
        for table in (Visit.__table__, Patient.__table__, core_note):
            await connection.execute(table.delete())
    await engine.dispose()


async def test_an_async_session_writes_and_reads(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        patient = Patient(id=uuid.UUID(int=1), name="Ada", ssn="1", visits=[Visit(note="n")])
        session.add(patient)
        await session.commit()
        await session.refresh(patient)
        assert patient.name == "Ada"
        statement = select(Patient).options(selectinload(Patient.visits)).where(Patient.ssn == "1")
        found = (await session.scalars(statement)).one()
        assert [v.note for v in found.visits] == ["n"]
        found.name = "Grace"
        await session.commit()
        assert await session.scalar(select(Patient.name)) == "Grace"
        assert await session.run_sync(lambda s: s.scalars(select(Patient.ssn)).one()) == "1"


async def test_an_async_connection_writes_and_reads(engine):
    async with engine.begin() as connection:
        await connection.execute(insert(core_note), [{"id": i, "body": f"b{i}"} for i in range(3)])
        await connection.execute(
            update(core_note).where(core_note.c.id == 1).values(body="changed")
        )
        result = await connection.execute(select(core_note.c.body).order_by(core_note.c.id))
        assert result.scalars().all() == ["b0", "changed", "b2"]
        assert await connection.scalar(select(core_note.c.body).where(core_note.c.id == 2)) == "b2"


async def test_async_streams_decrypt_each_row(engine):
    async with engine.begin() as connection:
        await connection.execute(insert(core_note), [{"id": i, "body": f"b{i}"} for i in range(30)])
    async with engine.connect() as connection:
        statement = select(core_note.c.body).order_by(core_note.c.id)
        async with connection.stream(statement) as result:
            assert [row.body async for row in result] == [f"b{i}" for i in range(30)]
    async with AsyncSession(engine) as session:
        stream = await session.stream_scalars(statement.execution_options(yield_per=7))
        assert [body async for body in stream] == [f"b{i}" for i in range(30)]


@pytest.mark.parametrize("fetch", ["all", "scalar", "stream"])
async def test_a_cold_key_in_the_result(engine, matrix, new_keyring, fetch):
    async with engine.begin() as connection:
        await connection.execute(insert(core_note), [{"id": 1, "body": "b"}])
    other = create_async_engine(matrix.sqlalchemy_url)
    keyring = new_keyring()
    vaultdb.install(other, keyring=keyring)
    try:
        async with other.connect() as connection:
            statement = select(core_note.c.body)
            if fetch == "all":
                assert (await connection.execute(statement)).scalars().all() == ["b"]
            elif fetch == "scalar":
                assert await connection.scalar(statement) == "b"
            else:
                async with connection.stream(statement) as result:
                    assert [row.body async for row in result] == ["b"]
    finally:
        await other.dispose()
        keyring.close()


async def test_async_statements_are_refused_alike(engine):
    async with engine.connect() as connection:
        with pytest.raises(StatementRefused, match="ORDER BY"):
            await connection.execute(select(core_note.c.id).order_by(core_note.c.body))
    async with AsyncSession(engine) as session:
        with pytest.raises(StatementRefused):
            await session.scalars(select(Patient.name).distinct())


async def test_savepoints_and_rollback(engine):
    async with AsyncSession(engine) as session:
        session.add(Patient(name="kept"))
        await session.flush()
        async with session.begin_nested() as nested:
            session.add(Patient(name="gone"))
            await session.flush()
            await nested.rollback()
        await session.commit()
        assert (await session.scalars(select(Patient.name))).all() == ["kept"]
