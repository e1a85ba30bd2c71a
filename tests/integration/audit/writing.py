"""Records of the log as any process would write them, one chain at a time and in chosen ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from tests.fixtures.postgres import Database
from vaultdb.audit.chain import Chain, Record
from vaultdb.audit.event import canonical, timestamp
from vaultdb.audit.kinds import CHAIN_CLOSED, CHAIN_OPENED
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.opening import Opening, Writer, opening_digest
from vaultdb.db.auditlog.inserting import insert_chain, insert_events


@dataclass
class OneChain:
    """A chain, and the records that were linked and not stored yet."""

    chain: Chain
    opening: Opening
    linked: list[Record] = field(default_factory=list)

    @property
    def id(self) -> UUID:
        return self.chain.id

    def link(self, count: int = 1, kind: str = "test.noted") -> Sequence[Record]:
        for _ in range(count):
            body = canonical({"event": kind, "seq": self.chain.head.seq})
            self.linked.append(self.chain.link(timestamp(), body))
        return self.linked[-count:]


class Process:
    """A process that writes the log by the application's login."""

    def __init__(self, database: Database, keys: MemoryAuditKeys) -> None:
        self.database = database
        self._keys = keys
        self._writer = Writer.certified(str(database.realm), keys)

    def open(self, count: int = 0) -> OneChain:
        """Open a chain with so many records behind its first one, and store them."""
        chain, opening = self._writer.open("vaultdb_app", self._keys.escrow())
        one = OneChain(chain, opening)
        body = canonical({"event": CHAIN_OPENED.name, "opening": opening_digest(opening.text())})
        one.linked.append(chain.link(timestamp(), body))
        one.link(count)
        with self.connect() as connection, connection.cursor() as cursor:
            insert_chain(cursor, opening)
        self.store(one)
        return one

    def write(self, one: OneChain, count: int = 1) -> None:
        """Link records and store them."""
        one.link(count)
        self.store(one)

    def close(self, one: OneChain) -> None:
        """End a chain as it should."""
        one.link(1, CHAIN_CLOSED.name)
        self.store(one)

    def store(self, one: OneChain, *, on: psycopg.Connection[Any] | None = None) -> None:
        """Store what was linked, in a transaction of its own unless told."""
        records, one.linked = one.linked, []
        self.insert(records, on=on)

    def insert(
        self, records: Iterable[Record], *, on: psycopg.Connection[Any] | None = None
    ) -> None:
        """Store records."""
        if on is None:
            with self.connect() as connection, connection.cursor() as cursor:
                insert_events(cursor, list(records))
        else:
            with on.cursor() as cursor:
                insert_events(cursor, list(records))

    def connect(self) -> psycopg.Connection[Any]:
        """Connect as the application."""
        return self.database.connect("vaultdb_app")
