"""Entries of the log as a table, JSON lines or CSV: their texts come from outside."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vaultdb.cli.report import shown_on_terminal
from vaultdb.jobs.audit.query import Found
from vaultdb.jobs.audit.query_entry import Entry
from vaultdb.jobs.audit.query_keys import Match


class Format(Enum):
    """How entries are printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


TITLES: Final = (
    "at", "event", "principal", "purpose", "tenant", "tables", "columns", "rows", "keys",
    "request", "login", "chain", "seq",
)  # fmt: skip
_ON_TERMINAL: Final = 9
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
PAGE: Final = 200
"""Rows of one table on the terminal: it is streamed, so widths are found page by page."""


_WIDE: Final = 400
"""Columns of text that a pipe or a file is taken to have, so that no cell is broken."""


def print_found(found: Iterable[Found], format_: Format) -> int:
    """Print entries as they come, and return how many."""
    if format_ is Format.JSONL:
        return _each(found, lambda one: print_line(sys.stdout, entry_as_json(one)))
    if format_ is Format.CSV:
        writer = csv.writer(sys.stdout)
        writer.writerow((*TITLES, "match"))
        return _each(
            found, lambda one: writer.writerow(csv_row((*row_of(one.entry), one.match.value)))
        )
    return _print_tables(found)


def print_rows(titles: Sequence[str], rows: Iterable[Sequence[object]], *, nothing: str) -> int:
    """Print rows as tables of `PAGE` rows; texts are shown as they are, not as markup."""
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    count, page = 0, new_table(titles)
    for row in rows:
        page.add_row(*(Text(shown_on_terminal(str(cell)).replace("\n", "\\n")) for cell in row))
        count += 1
        if count % PAGE == 0:
            console.print(page)
            page = new_table(titles)
    if page.row_count:
        console.print(page)
    if not count:
        print(nothing)
    return count


def new_table(titles: Sequence[str]) -> Table:
    """Return an empty table."""
    table = Table(*titles, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    return table


def row_of(entry: Entry) -> tuple[object, ...]:
    """Return the cells of an entry, as `TITLES` names them."""
    return (
        entry.at,
        entry.event,
        *(entry.text(name) for name in ("principal", "purpose", "tenant")),
        " ".join(entry.tables),
        " ".join(entry.columns),
        "" if entry.rows is None else entry.rows,
        " ".join(entry.keys) + (" …" if entry.has_more_keys else ""),
        entry.text("request"),
        entry.text("login"),
        entry.chain,
        entry.record.seq,
    )


def entry_as_json(found: Found) -> dict[str, Any]:
    """Return an entry for another program: the body, the end of a read beside it."""
    entry = found.entry
    said: dict[str, Any] = {
        "at": entry.at,
        "chain": str(entry.chain),
        "seq": entry.record.seq,
        "match": found.match.value,
    }
    if entry.is_malformed:
        return said | {"event": entry.event, "malformed": entry.record.body}
    said |= {"event": entry.event, "body": entry.said}
    if entry.finished is not None:
        said["finished"] = entry.finished.said
    return said


def print_line(stream: TextIO, value: Any) -> None:
    """Print one line of JSON."""
    stream.write(json.dumps(value, separators=(",", ":"), default=str) + "\n")


def csv_row(cells: Iterable[object]) -> list[object]:
    """Return cells that no spreadsheet takes for a formula, without control characters."""
    return [_harmless(cell) if isinstance(cell, str) else cell for cell in cells]


def _harmless(text: str) -> str:
    shown = shown_on_terminal(text).replace("\n", "\\n")
    return (
        f"'{shown}" if shown.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else shown
    )


def _each(found: Iterable[Found], print_one: Any) -> int:
    count = 0
    for count, one in enumerate(found, 1):  # noqa: B007  # the count is the result
        print_one(one)
    return count


def _print_tables(found: Iterable[Found]) -> int:
    titles = (*TITLES[:_ON_TERMINAL], "match")
    rows = ((*row_of(one.entry)[:_ON_TERMINAL], _shown(one.match)) for one in found)
    return print_rows(titles, rows, nothing="nothing of that is in the log")


def _shown(match: Match) -> str:
    return "perhaps" if match is Match.POSSIBLE else ""
