"""The log as an auditor asks it: streamed, filtered, each read together with its end."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

import psycopg

from vaultdb.audit.auditor import Auditor
from vaultdb.audit.chain import Record
from vaultdb.audit.event import Event, Json, timestamp
from vaultdb.audit.keys import EscrowOpener
from vaultdb.audit.kinds import AUDIT_QUERIED
from vaultdb.db.failures import plain_failures
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.engine.auditing import operator
from vaultdb.errors import AuditUnavailable
from vaultdb.jobs.audit.query_entry import Entry
from vaultdb.jobs.audit.query_filter import Filter
from vaultdb.jobs.audit.query_joining import join_newest_first, join_oldest_first
from vaultdb.jobs.audit.query_keys import KeyFinder, Match
from vaultdb.jobs.audit.verify.run import open_verification
from vaultdb.settings import Settings
from vaultdb.settings.audit import UNAUDITED
from vaultdb.vault.escrow_opener import VaultEscrowOpener

BATCH: Final = 2_000
"""Records that are fetched at a time."""
LATE: Final = timedelta(hours=1)
"""How long after its intent the end of a read is looked for."""
SKEW: Final = timedelta(days=1)
"""How far a process's clock may be from the server's, for a search by time to find its records."""

_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC)
_LAST: Final = datetime(9999, 12, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """One entry that was looked for.

    Args:
        entry: as the log has it.
        match: whether it is about the row that was asked for; yes if none was.

    """

    entry: Entry
    match: Match = Match.YES


@dataclass(frozen=True, slots=True)
class Log:
    """The log, opened by the auditor; every use of it leaves an event in it.

    Args:
        connection: of the auditor.
        auditor: records the questions.
        escrow: opens chains; None without Vault.

    """

    connection: psycopg.Connection[Any]
    auditor: Auditor
    escrow: EscrowOpener | None = None

    def note(self, command: str, filters: Mapping[str, Json]) -> None:
        """Record that the log is read, before anything of it is shown.

        Raises:
            AuditUnavailable: it could not be recorded; nothing may be shown.

        """
        fields: dict[str, Json] = {"command": command, "filters": dict(filters)}
        self.auditor.commit(Event(AUDIT_QUERIED, fields, operator()))

    def records(
        self, since: datetime | None, until: datetime | None, *, oldest_first: bool
    ) -> Generator[Record, None, None]:
        """Yield the records of a span of time, in one snapshot, as they are stored."""
        name = "log_oldest_first" if oldest_first else "log_newest_first"
        first, last = since or _FIRST, until or _LAST
        span = {
            "stored_since": max(first, _FIRST + SKEW) - SKEW,
            "stored_until": min(last, _LAST - SKEW) + SKEW,
            "since": "" if since is None else timestamp(since),
            "until": "~" if until is None else timestamp(until),
        }
        query = shipped_sql(__package__ or "", name).encode()
        with snapshot(self.connection), _cursor(self.connection) as cursor:
            cursor.execute(query, span)
            while batch := cursor.fetchmany(BATCH):
                for chain, seq, at, body, mac in batch:
                    yield Record(chain, seq, at, body, bytes(mac))

    def entries(self, wanted: Filter, *, oldest_first: bool = False) -> Iterator[Entry]:
        """Yield what is wanted but for the key, each read with its end."""
        until = None if wanted.until is None else min(wanted.until, _LAST - LATE) + LATE
        records = self.records(wanted.since, until, oldest_first=oldest_first)
        join = join_oldest_first if oldest_first else join_newest_first
        return filter(wanted.accepts, join(map(Entry, records)))

    def find(
        self,
        wanted: Filter,
        *,
        oldest_first: bool = False,
        limit: int | None = None,
        finder: KeyFinder | None = None,
    ) -> Iterator[Found]:
        """Yield what is wanted; what may be about the row is marked.

        Args:
            wanted: what entries must have.
            oldest_first: the order of the log; else backwards.
            limit: the most entries that are yielded; None for all.
            finder: of the wanted key; made here if None.

        """
        found: Iterator[Found] = map(Found, self.entries(wanted, oldest_first=oldest_first))
        if wanted.key is not None:
            looked = finder or self.finder(wanted.key)
            found = _about_row(found, wanted, looked)
        return islice(found, limit)

    def finder(self, key: str) -> KeyFinder:
        """Return what finds a row by its key."""
        return KeyFinder(key, self.connection, self.escrow)


@contextmanager
def open_log(settings: Settings) -> Iterator[Log]:
    """Open the log as the auditor, and close it afterwards."""
    with open_verification(settings) as opened:
        escrow: EscrowOpener | None = None
        if settings.keys not in UNAUDITED:
            client, vault = opened.credentials.client, settings.vault
            escrow = VaultEscrowOpener(client, mount=vault.transit_mount, kek=vault.kek)
        yield Log(opened.connection, opened.auditor, escrow)


@contextmanager
def snapshot(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Read in one snapshot, without a limit on time."""
    with (
        plain_failures("read the audit log", unavailable=AuditUnavailable),
        connection.transaction(),
    ):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL statement_timeout = 0")
        yield


def _cursor(connection: psycopg.Connection[Any]) -> psycopg.ServerCursor[Any]:
    return psycopg.ServerCursor(connection, "vaultdb_log")


def _about_row(found: Iterable[Found], wanted: Filter, finder: KeyFinder) -> Iterator[Found]:
    entries = iter(found)
    while batch := list(islice(entries, BATCH)):
        finder.prepare(each.entry for each in batch)
        for each in batch:
            tables = wanted.tables(each.entry)
            if not tables:
                continue
            match = finder.match(each.entry, tables)
            if match is not Match.NO:
                yield replace(each, match=match)
