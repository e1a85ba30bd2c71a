"""The log as one snapshot sees it, streamed: memory does not grow with the log."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg import sql
from psycopg.types.string import ByteaBinaryLoader

from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.jobs.audit.verify.shapes import Shapes

BATCH: Final = 5_000
"""Rows that are fetched at a time."""
CHAINS: Final = 32
"""Chains that are fetched at a time: Vault opens their first keys while others are hashed."""

_AS_STORED: Final = ("text", "uuid", "timestamptz")
"""Types whose values stay the bytes that the server sends: nothing is decoded only to be hashed."""

_BY_INDEX: Final = ("enable_sort", "enable_hashjoin", "enable_nestloop")
"""What the planner shall not do while both tables have an index in the order that is asked for: a
merge of the two takes a quarter of the time, and no memory."""

_T = TypeVar("_T")


class Source:
    """Reads the log by one connection, in one REPEATABLE READ transaction.

    Args:
        connection: of the auditor, in that transaction.

    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.shapes = Shapes()

    @classmethod
    @contextmanager
    def of(cls, connection: psycopg.Connection[Any]) -> Iterator[Source]:
        """Begin the snapshot, and end it."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SET LOCAL statement_timeout = 0")
            connection.execute("SET LOCAL client_encoding = 'UTF8'")
            yield cls(connection)

    def count(self, table: str) -> int:
        """Return the rows of `event`, `leaf`, `chain` or `checkpoint`."""
        query = sql.SQL("SELECT pg_catalog.count(*) FROM {}").format(
            sql.Identifier("vaultdb_audit", table)
        )
        row = self._connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])

    def chains(self) -> Iterator[Sequence[Any]]:
        """Yield batches of chain, opening, sequenced, done, and the chain's cut, by chain."""
        yield from self._stream("chains", CHAINS)

    def events(self) -> Iterator[Sequence[Any]]:
        """Yield batches of records, by chain and seq.

        A record is chain, seq, at, body and mac, index and hash of its leaf, and when it was
        stored; all but numbers are bytes.
        """
        yield from in_advance(self._stream("events", raw=True, by_index=True))

    def leaves(self) -> Iterator[Sequence[Any]]:
        """Yield batches of index and hash, in order."""
        yield from in_advance(self._stream("leaves"))

    def checkpoints(self) -> Iterator[Sequence[Any]]:
        """Yield batches of epoch, size and note, by size and epoch."""
        yield from self._stream("checkpoints")

    def epochs(self) -> Iterator[Sequence[Any]]:
        """Yield batches of epoch, size and note of the first checkpoint of each epoch."""
        yield from self._stream("epochs")

    def newest_checkpoint(self) -> tuple[int, int, str] | None:
        """Return epoch, size and note of the newest checkpoint."""
        return self._connection.execute(
            "SELECT epoch, size, note FROM vaultdb_audit.checkpoint"
            " ORDER BY epoch DESC, size DESC LIMIT 1"
        ).fetchone()

    def leaves_without_event(self) -> Iterator[Sequence[Any]]:
        """Yield batches of index, chain and seq of leaves whose record is gone and not cut off."""
        yield from self._stream("leaves_without_event")

    def cuts(self) -> Iterator[Sequence[Any]]:
        """Yield batches of month, how many of its records were cut off, and their last index."""
        yield from self._stream("cuts")

    def _stream(
        self, name: str, size: int = BATCH, *, raw: bool = False, by_index: bool = False
    ) -> Generator[Sequence[Any], None, None]:
        with psycopg.ServerCursor(self._connection, f"vaultdb_{name}") as cursor:
            if raw:
                for each in _AS_STORED:
                    cursor.adapters.register_loader(each, ByteaBinaryLoader)
            if by_index:
                self._allow("off")
            cursor.execute(shipped_sql(__package__ or "", name).encode(), binary=True)
            if by_index:
                self._allow("on")
            while batch := cursor.fetchmany(size):
                yield self.shapes.checked(name, batch)

    def _allow(self, state: str) -> None:
        for name in _BY_INDEX:
            statement = sql.SQL("SET LOCAL {} = {}")
            self._connection.execute(statement.format(sql.Identifier(name), sql.Literal(state)))


def in_advance(batches: Generator[_T, None, None]) -> Iterator[_T]:
    """Yield what a generator yields, while a thread gets the next one from it."""
    with closing(batches), ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch
