"""Answers to an auditor's questions, counted over the log as it streams by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from vaultdb.audit.kinds import (
    BUDGET_EXCEEDED,
    CANARY_TOUCHED,
    DATA_DENIED,
    DATA_READ,
    DECRYPTION_FAILED,
)
from vaultdb.jobs.audit.query import Found
from vaultdb.jobs.audit.query_entry import Entry
from vaultdb.jobs.audit.query_keys import Match

DENIALS: frozenset[str] = frozenset(
    kind.name for kind in (DATA_DENIED, DECRYPTION_FAILED, BUDGET_EXCEEDED, CANARY_TOUCHED)
)
"""Events of something that was refused, or that nobody should have tried."""


@dataclass
class Reads:
    """Reads that have something in common.

    Args:
        reads: how many.
        rows: rows that they gave out, where they say it.
        unfinished: reads that nobody ended, so that their rows are unknown.
        possible: reads that may be about the row, for they do not name all of theirs.
        first: time of the first.
        last: time of the last.
        purposes: all that were given.
        columns: all that were decrypted.

    """

    reads: int = 0
    rows: int = 0
    unfinished: int = 0
    possible: int = 0
    first: str = ""
    last: str = ""
    purposes: set[str] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)

    def add(self, entry: Entry, match: Match = Match.YES) -> None:
        """Count a read."""
        self.reads += 1
        self.rows += entry.rows or 0
        self.unfinished += entry.finished is None
        self.possible += match is Match.POSSIBLE
        self.first = min(self.first or entry.at, entry.at)
        self.last = max(self.last, entry.at)
        self.purposes.update(filter(None, [entry.text("purpose")]))
        self.columns.update(entry.columns)


def readers(found: Iterable[Found]) -> dict[str, Reads]:
    """Count reads by principal; those certain before those possible, many before few."""
    by: dict[str, Reads] = {}
    for each in found:
        if each.entry.event == DATA_READ.name:
            by.setdefault(_who(each.entry), Reads()).add(each.entry, each.match)
    return dict(sorted(by.items(), key=lambda item: (item[1].possible - item[1].reads, item[0])))


def tables_read(found: Iterable[Found]) -> dict[str, Reads]:
    """Count reads by table, many rows before few."""
    by: dict[str, Reads] = {}
    for each in found:
        if each.entry.event == DATA_READ.name:
            for table in dict.fromkeys(each.entry.tables):
                by.setdefault(table, Reads()).add(each.entry)
    return dict(sorted(by.items(), key=lambda item: (-item[1].rows, item[0])))


def decryptors(found: Iterable[Found]) -> dict[tuple[str, str], Reads]:
    """Count reads by database login and principal, many rows before few."""
    by: dict[tuple[str, str], Reads] = {}
    for each in found:
        if each.entry.event == DATA_READ.name:
            who = (each.entry.text("login"), _who(each.entry))
            by.setdefault(who, Reads()).add(each.entry)
    return dict(sorted(by.items(), key=lambda item: (-item[1].rows, -item[1].reads, item[0])))


def is_denial(found: Found) -> bool:
    """Whether something was refused."""
    return found.entry.event in DENIALS


def _who(entry: Entry) -> str:
    return entry.text("principal") or "(nobody)"
