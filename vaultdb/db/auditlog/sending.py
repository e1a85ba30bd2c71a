"""Events that are not part of a transaction of the application: on the log's own connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import psycopg

from vaultdb.audit.chain import Record
from vaultdb.audit.event import Event
from vaultdb.audit.kinds import CHAIN_HEARTBEAT
from vaultdb.audit.opening import Opening
from vaultdb.db.auditlog.chains import Chains, Held
from vaultdb.db.auditlog.inserting import insert_chain, insert_events
from vaultdb.db.auditlog.pool import LogPool, log_failures

AT_ONCE = 1.0
"""Seconds within which a failure says that the connection had died before it was used."""


class Sender:
    """Writes events, each batch by one statement that commits by itself.

    Args:
        pool: connections in autocommit.
        chains: for those connections.
        tell: called when something other than a heartbeat was stored.

    """

    def __init__(self, pool: LogPool, chains: Chains, tell: Callable[[], None]) -> None:
        self._pool = pool
        self._chains = chains
        self._tell = tell

    def send(self, events: Sequence[tuple[str, Event]]) -> None:
        """Write events with their times, and return when they are committed.

        When the connection turns out to be dead they are written once more on another one, and a
        new chain: they may be in the log twice, but not missing.

        Raises:
            AuditUnavailable: they could not be written.

        """
        with log_failures():
            began = time.monotonic()
            try:
                self._send(events)
            except psycopg.OperationalError:
                if time.monotonic() > began + AT_ONCE:
                    raise
                self._send(events)
        if any(event.kind is not CHAIN_HEARTBEAT for _, event in events):
            self._tell()

    def close(self, chains: Sequence[Held], reason: str) -> None:
        """Write the last record of chains that somebody took out.

        Raises:
            AuditUnavailable: they could not be written.

        """
        if not chains:
            return
        with log_failures(), self._pool.connection() as connection:
            self._store(connection, None, [held.close(reason) for held in chains])

    def _send(self, events: Sequence[tuple[str, Event]]) -> None:
        with (
            self._pool.connection() as connection,
            self._chains.borrowed(connection.info.user) as held,
        ):
            records = held.link(events)
            self._store(connection, held.opening, records)

    def _store(
        self,
        connection: psycopg.Connection[Any],
        opening: Opening | None,
        records: Sequence[Record],
    ) -> None:
        """Write records, and commit: without a round trip of its own where that is possible."""
        is_alone = opening is None and not self._pool.is_shared
        transaction = nullcontext() if is_alone else connection.transaction()
        with transaction, connection.cursor() as cursor:
            if opening is not None:
                insert_chain(cursor, opening)
            insert_events(cursor, records)
