"""The clinic on SQLite, and on PostgreSQL where CLINIC_TEST_URL names a scratch database."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from clinic.app import create_app
from clinic.models import Base
from httpx import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from vaultdb.testing import migrate_test_database

Install = Callable[[AsyncEngine], AsyncEngine]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'clinic.db'}"
    url = os.environ.get("CLINIC_TEST_URL")
    if not url:
        pytest.skip("CLINIC_TEST_URL names no PostgreSQL database to play with")
    migrate_test_database(url)
    return url


@pytest_asyncio.fixture
async def engine(url: str, vaultdb_install: Install) -> AsyncIterator[AsyncEngine]:
    engine = vaultdb_install(create_async_engine(url))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(create_app(engine))
    async with AsyncClient(transport=transport, base_url="http://clinic") as client:
        yield client
