"""A table with plaintext, as the application had it, and the models that adopt it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import MetaData

from tests.fixtures.postgres import Database
from vaultdb.jobs.adopt.adoption import find_adoption
from vaultdb.jobs.adopt.task import spec_of
from vaultdb.jobs.work.runner import run_job
from vaultdb.jobs.work.store import JobStore
from vaultdb.jobs.work.task import Tools
from vaultdb.jobs.work.throttle import NoThrottle
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.vault.providers.memory import MemoryProvider

REALM = UUID(int=1)


def sqlalchemy_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture
def keyring() -> Iterator[Keyring]:
    ring = Keyring(realm=REALM, provider=MemoryProvider(), store=MemoryKeyStore(), create_keys=True)
    yield ring
    ring.close()


@contextmanager
def open_tools(
    database: Database, metadata: MetaData, keyring: Keyring, *, batch: int = 7
) -> Iterator[Tools]:
    engine = sa.create_engine(sqlalchemy_url(database.rotator_url), hide_parameters=True)
    yield Tools(metadata, keyring, None, engine, NoThrottle(batch))
    engine.dispose()


def run(tools: Tools, kind: str, table: str, column: str, foreign=None):
    """Start a job and work on it; return what became of it and what is in quarantine."""
    adoption = find_adoption([tools.metadata], table, column)
    store = JobStore(tools.engine)
    job = store.start(kind, adoption.target, spec_of(adoption, foreign, ""))
    result = run_job(job.id, tools, workers=2)
    return result, store.quarantined(job.id)
