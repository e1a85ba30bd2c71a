"""The end of the log, and what is written from now on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

from vaultdb.audit.chain import Record
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.jobs.audit.query import Log, snapshot
from vaultdb.jobs.audit.query_entry import Entry

LATE: Final = timedelta(seconds=10)
"""How long a transaction may take from storing a record to its commit, for it to be followed."""

Pause = Callable[[], bool]
"""Waits until the log is looked at again; returns whether to stop."""


def last_entries(log: Log, count: int) -> list[Entry]:
    """Return the last records, the oldest of them first."""
    with closing(log.records(None, None, oldest_first=False)) as records:
        return [Entry(record) for record in islice(records, count)][::-1]


def follow(log: Log, pause: Pause, shown: list[Entry]) -> Iterator[Entry]:
    """Yield records as they become visible, each once, until told to stop.

    Args:
        log: opened by the auditor.
        pause: called between two looks.
        shown: what was yielded before.

    """
    seen: dict[tuple[UUID, int], datetime] = {}
    query = shipped_sql(__package__ or "", "log_tail").encode()
    since = _server_time(log) - LATE
    known = {(entry.chain, entry.record.seq) for entry in shown}
    while not pause():
        with snapshot(log.connection):
            rows = log.connection.execute(query, {"since": since}).fetchall()
        for stored, chain, seq, at, body, mac in rows:
            if (chain, seq) not in seen and (chain, seq) not in known:
                yield Entry(Record(chain, seq, at, body, bytes(mac)))
            seen[chain, seq] = stored
        if rows:
            since = max(since, rows[-1][0] - LATE)
            seen = {key: stored for key, stored in seen.items() if stored >= since}


def _server_time(log: Log) -> Any:
    with snapshot(log.connection):
        row = log.connection.execute("SELECT pg_catalog.clock_timestamp()").fetchone()
    assert row is not None
    return row[0]
