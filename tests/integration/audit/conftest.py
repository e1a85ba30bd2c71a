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

import psycopg
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
        section = {"mode": "strict", "principal": "service", "heartbeat": 60.0} | audit
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
        with self.database.connect() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            openings = self._openings(connection)
            rows = connection.execute(
                "SELECT chain, seq, at, body, mac FROM vaultdb_audit.event ORDER BY chain, seq"
            ).fetchall()
        found: dict[UUID, list[Record]] = {opening.id: [] for opening in openings}
        for row in rows:
            found[row[0]].append(Record(*row))
        for opening in openings:
            self._check(opening, found[opening.id])
        return found

    def openings(self) -> list[Opening]:
        """Return how each chain begins, the oldest first."""
        with self.database.connect() as connection:
            return self._openings(connection)

    def bodies(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the events of a kind, all but those of chains if None; by chain, then in order."""
        said = [json.loads(record.body) for records in self.chains().values() for record in records]
        if event is None:
            return [body for body in said if not body["event"].startswith("chain.")]
        return [body for body in said if body["event"] == event]

    def _openings(self, connection: psycopg.Connection) -> list[Opening]:
        query = "SELECT opening FROM vaultdb_audit.chain ORDER BY opened_at"
        return [Opening.parse(text) for (text,) in connection.execute(query)]

    def _check(self, opening: Opening, records: list[Record]) -> None:
        opening.check(opening.id, str(self.database.realm), self.keys)
        (first_key,) = self.keys.open([opening.escrow])
        assert first_key is not None
        chain = Chain(first_key, opening.id)
        for stored in records:
            assert chain.link(stored.at, stored.body) == stored
        assert json.loads(records[0].body)["opening"] == opening_digest(opening.text())


@pytest.fixture
def log(database: Database, audit_keys: MemoryAuditKeys) -> Log:
    """Return the audit log of the test's database."""
    return Log(database, audit_keys)
