"""Reads and how they ended, put together again: an intent is one record, its end another."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from vaultdb.jobs.audit.query_entry import Entry

HELD: Final = 10_000
"""Entries that are held back at most, until their other half comes; bounds the memory."""


def join_newest_first(entries: Iterable[Entry], held: int = HELD) -> Iterator[Entry]:
    """Yield entries with the ends of reads inside the reads; ends come first in this order.

    An end whose read does not come is yielded late, by itself.
    """
    ends: OrderedDict[Any, Entry] = OrderedDict()
    for entry in entries:
        if entry.is_read:
            yield replace(entry, finished=ends.pop(_own(entry), None))
        elif not entry.is_end_of_read:
            yield entry
        elif _of(entry) in ends:
            yield entry  # a second end is not believed, and not hidden
        else:
            ends[_of(entry)] = entry
            if len(ends) > held:
                yield ends.popitem(last=False)[1]
    yield from ends.values()


def join_oldest_first(entries: Iterable[Entry], held: int = HELD) -> Iterator[Entry]:
    """Yield entries with the ends of reads inside the reads, in order.

    A read is held back until its end comes, and with it what follows; at most `held` entries.
    """
    waiting: OrderedDict[Any, Entry] = OrderedDict()
    open_reads: set[Any] = set()
    for number, entry in enumerate(entries):
        key = _of(entry) if entry.is_end_of_read else None
        if key in open_reads:
            open_reads.discard(key)
            waiting[key] = replace(waiting[key], finished=entry)
        elif entry.is_read and _own(entry) not in waiting:
            open_reads.add(_own(entry))
            waiting[_own(entry)] = entry
        else:
            waiting[number] = entry
        while waiting and (len(waiting) > held or next(iter(waiting)) not in open_reads):
            first, ready = waiting.popitem(last=False)
            open_reads.discard(first)
            yield ready
    yield from waiting.values()


def _own(entry: Entry) -> Any:
    return (entry.text("id"), entry.text("principal"), entry.text("login"))


def _of(entry: Entry) -> Any:
    """Return what the end of a read names; another principal or login cannot end it."""
    return (entry.text("of"), entry.text("principal"), entry.text("login"))
