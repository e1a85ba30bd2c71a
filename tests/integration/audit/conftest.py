"""A database with the audit log's tables, and the log in it, read and checked by itself.

``audited``  a function that returns settings: ``audited(mode="strict", principal="svc", …)``.
             Data keys and the log's keys are in memory, ``audit_keys`` opens the escrow.
``log``      what is in the log: ``.bodies()``, ``.chains()``; checks every MAC as it reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from tests.fixtures.postgres import Database
from vaultdb.audit.chain import Chain, Record
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.opening import Opening, opening_digest
from vaultdb.engine import create_engine
from vaultdb.engine.auditing import memory_audit_keys
from vaultdb.settings import Settings

Audited = Callable[..., Settings]


@pytest.fixture
def audited(database: Database) -> Audited:
    """Return settings of the application's login with an audit log; arguments are `[audit]`."""

    def make(*, login: str = "vaultdb_app", **audit: Any) -> Settings:
        section = {"mode": "strict", "principal": "service"} | audit
        return Settings(
            realm=database.realm,
            keys="memory",
            database={"url": SecretStr(database.url_for(login))},
            audit=section,
        )

    return make


@pytest.fixture
def audited_engine(audited: Audited) -> Iterator[Callable[..., Engine]]:
    """Return a function that makes an engine with an audit log; disposed of after the test."""
    made: list[Engine] = []

    def make(*, options: dict[str, Any] | None = None, **audit: Any) -> Engine:
        made.append(create_engine(settings=audited(**audit), **(options or {})))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


@pytest.fixture
def audit_keys(realm: UUID) -> MemoryAuditKeys:
    """Return the keys of the logs of `audited`."""
    return memory_audit_keys(realm, "app")


@dataclass
class Log:
    """The audit log of a database, as its administrator sees it."""

    database: Database
    keys: MemoryAuditKeys

    def chains(self) -> dict[UUID, list[Record]]:
        """Return the records of every chain, from seq 0 without a gap, each MAC checked."""
        found: dict[UUID, list[Record]] = {}
        for opening in self.openings():
            opening.check(opening.id, str(self.database.realm), self.keys)
            (first_key,) = self.keys.open([opening.escrow])
            assert first_key is not None
            chain, found[opening.id] = Chain(first_key, opening.id), []
            for stored in self._records(opening.id):
                assert chain.link(stored.at, stored.body) == stored
                found[opening.id].append(stored)
            assert json.loads(found[opening.id][0].body)["opening"] == opening_digest(
                opening.text()
            )
        with self.database.connect() as connection:
            row = connection.execute("SELECT count(*) FROM vaultdb_audit.event").fetchone()
        assert row == (sum(map(len, found.values())),), "events without a chain"
        return found

    def openings(self) -> list[Opening]:
        """Return how each chain begins, the oldest first."""
        with self.database.connect() as connection:
            query = "SELECT opening FROM vaultdb_audit.chain ORDER BY opened_at"
            return [Opening.parse(text) for (text,) in connection.execute(query)]

    def bodies(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the events of a kind, all but those of chains if None; by chain, then in order."""
        said = [json.loads(record.body) for records in self.chains().values() for record in records]
        if event is None:
            return [body for body in said if not body["event"].startswith("chain.")]
        return [body for body in said if body["event"] == event]

    def _records(self, chain: UUID) -> list[Record]:
        query = (
            "SELECT chain, seq, at, body, mac FROM vaultdb_audit.event WHERE chain = %s"
            " ORDER BY seq"
        )
        with self.database.connect() as connection:
            return [Record(*row) for row in connection.execute(query, [chain])]


@pytest.fixture
def log(database: Database, audit_keys: MemoryAuditKeys) -> Log:
    """Return the audit log of the test's database."""
    return Log(database, audit_keys)
