"""The log as one snapshot sees it, streamed: memory does not grow with the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from vaultdb.db.shipped_sql import shipped_sql

BATCH: Final = 5_000
"""Rows that are fetched at a time."""


class Source:
    """Reads the log by one connection, in one REPEATABLE READ transaction.

    Args:
        connection: of the auditor, in that transaction.

    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def of(cls, connection: psycopg.Connection[Any]) -> Iterator[Source]:
        """Begin the snapshot, and end it."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SET LOCAL statement_timeout = 0")
            yield cls(connection)

    def count(self, table: str) -> int:
        """Return the rows of `event`, `leaf`, `chain` or `checkpoint`."""
        query = psycopg.sql.SQL("SELECT count(*) FROM {}").format(
            psycopg.sql.Identifier("vaultdb_audit", table)
        )
        row = self._connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])

    def chains(self) -> Iterator[list[Any]]:
        """Yield batches of chain, opening, sequenced, and the chain's cut, by chain."""
        yield from self._stream("chains", shipped_sql(__package__ or "", "chains"), 256)

    def events(self) -> Iterator[list[Any]]:
        """Yield batches of chain, seq, at, body, mac, and leaf index and hash; by chain and seq."""
        yield from self._stream("events", shipped_sql(__package__ or "", "events"))

    def leaves(self) -> Iterator[list[Any]]:
        """Yield batches of index and hash, in order."""
        yield from self._stream(
            "leaves", "SELECT index, hash FROM vaultdb_audit.leaf ORDER BY index"
        )

    def checkpoints(self) -> Iterator[list[Any]]:
        """Yield batches of epoch, size and note, by size and epoch."""
        yield from self._stream(
            "checkpoints",
            "SELECT epoch, size, note FROM vaultdb_audit.checkpoint ORDER BY size, epoch",
        )

    def newest_checkpoint(self) -> tuple[int, int, str] | None:
        """Return epoch, size and note of the newest checkpoint."""
        return self._connection.execute(
            "SELECT epoch, size, note FROM vaultdb_audit.checkpoint"
            " ORDER BY epoch DESC, size DESC LIMIT 1"
        ).fetchone()

    def leaves_without_event(self) -> Iterator[list[Any]]:
        """Yield batches of index, chain and seq of leaves whose event is gone."""
        yield from self._stream("lost", shipped_sql(__package__ or "", "leaves_without_event"))

    def _stream(self, name: str, query: str, size: int = BATCH) -> Iterator[list[Any]]:
        with psycopg.ServerCursor(self._connection, f"vaultdb_{name}") as cursor:
            cursor.execute(query.encode(), binary=True)
            while batch := cursor.fetchmany(size):
                yield batch
