"""The event loop goes on while keys are fetched, and while they are refused again and again."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import vaultdb
from tests.integration.orm.models import Patient
from tests.unit.keys.support import FakeClock
from vaultdb.errors import KeyDenied, KeyringError
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.lifetimes import DENIED_TTL
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.vault.providers.memory import MemoryProvider

pytestmark = pytest.mark.asyncio

SLOW = 0.4
"""Seconds that the provider takes; a loop that it holds up lags for as long."""


class SlowProvider(MemoryProvider):
    """Says no, after a while."""

    calls = 0

    def unwrap(self, keys: Sequence[tuple[str, bytes]]) -> list[bytes | KeyringError]:
        self.calls += 1
        time.sleep(SLOW)
        raise KeyDenied("the policy does not allow it")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def provider() -> SlowProvider:
    return SlowProvider()


@pytest_asyncio.fixture
async def engine(matrix, realm, provider, clock) -> AsyncIterator[AsyncEngine]:
    keyring = Keyring(
        realm=realm, provider=provider, store=MemoryKeyStore(), create_keys=True, _clock=clock
    )
    engine = create_async_engine(matrix.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SELECT 1")
    yield engine
    await engine.dispose()


WRITE = insert(Patient).values(id=uuid.UUID(int=9), name="Ada", ssn="9")
SEARCH = select(Patient.id).where(Patient.ssn == "9")


@pytest.mark.parametrize("statement", [WRITE, SEARCH], ids=["write", "search"])
async def test_a_key_that_is_refused_for_long_does_not_hold_the_loop_up(
    engine: AsyncEngine, provider: SlowProvider, clock: FakeClock, statement
):
    lags: list[float] = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            lags.append(time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    for _ in range(3):
        calls = provider.calls
        async with engine.connect() as connection:
            with pytest.raises(KeyDenied):
                await connection.execute(statement)
        assert provider.calls > calls
        clock.advance(2 * DENIED_TTL)
    ticking.cancel()
    assert max(lags) < SLOW
