"""`vaultdb audit report`: answers to the questions that auditors ask."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from vaultdb.cli.audit_output import Format, csv_row, print_found, print_line, print_rows
from vaultdb.cli.audit_query import FormatOption, Since, Table, Until, warn_of_unopened
from vaultdb.cli.options import Json, JsonLines, options_of
from vaultdb.cli.report import print_json
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.query import Log, open_log
from vaultdb.jobs.audit.query_filter import Filter
from vaultdb.jobs.audit.query_times import month_span, parse_time
from vaultdb.jobs.audit.report import Reads, decryptors, is_denial, readers, tables_read

app = typer.Typer(help="Answer an auditor's questions from the log.", no_args_is_help=True)

Month = Annotated[
    str | None, typer.Option("--month", metavar="YYYY-MM", help="Instead of --since and --until.")
]
_COUNTS = ("reads", "rows", "unfinished", "perhaps", "first", "last", "purposes", "columns")


def add_to(audit: typer.Typer) -> None:
    """Add the group to `vaultdb audit`."""
    audit.add_typer(app, name="report")


@app.command("who-read")
def who_read(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    table: Annotated[str, typer.Option("--table", help="With its schema or without.")],
    key: Annotated[str, typer.Option("--key", help="The row's primary key.")],
    since: Since = None,
    until: Until = None,
    month: Month = None,
    format_: FormatOption = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Tell who read a row, such as a patient's, and how often.

    Reads that did not name all their rows are counted under "perhaps".
    """
    wanted = _filter(Filter(table=table, key=key, event="data.read"), since, until, month)
    with _asked(context, "report who-read", wanted) as log:
        finder = log.finder(key)
        by = readers(log.find(wanted, finder=finder))
        warn_of_unopened(finder, log)
    rows = [((who,), reads) for who, reads in by.items()]
    _print(("principal",), rows, format_, as_json=as_json, nothing="nobody read it")


@app.command("what-read")
def what_read(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    principal: Annotated[str, typer.Option("--principal", help="Who read.")],
    table: Table = None,
    since: Since = None,
    until: Until = None,
    month: Month = None,
    format_: FormatOption = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Tell what somebody read, by table: what did Dr Jones read in March."""
    wanted = _filter(
        Filter(principal=principal, table=table, event="data.read"), since, until, month
    )
    with _asked(context, "report what-read", wanted) as log:
        by = tables_read(log.find(wanted))
    rows = [((name,), reads) for name, reads in by.items()]
    _print(("table",), rows, format_, as_json=as_json, nothing=f"{principal} read nothing")


@app.command("top")
def top(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    table: Table = None,
    since: Since = None,
    until: Until = None,
    month: Month = None,
    format_: FormatOption = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Tell which service decrypted most: rows by database login and principal."""
    wanted = _filter(Filter(table=table, event="data.read"), since, until, month)
    with _asked(context, "report top", wanted) as log:
        by = decryptors(log.find(wanted))
    _print(
        ("login", "principal"),
        list(by.items()),
        format_,
        as_json=as_json,
        nothing="nobody read anything",
    )


@app.command("denied")
def denied(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    principal: Annotated[str | None, typer.Option("--principal", help="Who tried.")] = None,
    since: Since = None,
    until: Until = None,
    month: Month = None,
    format_: FormatOption = Format.TABLE,
    as_json: JsonLines = False,
) -> None:
    """Tell what was refused or did not decrypt, the newest first."""
    wanted = _filter(Filter(principal=principal), since, until, month)
    with _asked(context, "report denied", wanted) as log:
        print_found(filter(is_denial, log.find(wanted)), Format.JSONL if as_json else format_)


def _filter(wanted: Filter, since: str | None, until: str | None, month: str | None) -> Filter:
    if month is not None:
        if since or until:
            raise ConfigurationError("--month stands for --since and --until; say one of them")
        first, following = month_span(month, "--month")
        return replace(wanted, since=first, until=following)
    return replace(
        wanted,
        since=None if since is None else parse_time(since, "--since"),
        until=None if until is None else parse_time(until, "--until"),
    )


@contextmanager
def _asked(context: typer.Context, command: str, wanted: Filter) -> Iterator[Log]:
    with open_log(options_of(context).settings("auditor")) as log:
        log.note(command, wanted.said())
        yield log


def _print(
    titles: Sequence[str],
    rows: Iterable[tuple[tuple[str, ...], Reads]],
    format_: Format,
    *,
    as_json: bool,
    nothing: str,
) -> None:
    names = (*titles, *_COUNTS)
    cells = [(*by, *_cells(reads)) for by, reads in rows]
    shown = [dict(zip(names, row, strict=True)) for row in cells]
    if as_json:
        print_json(shown)
    elif format_ is Format.JSONL:
        for each in shown:
            print_line(sys.stdout, each)
    elif format_ is Format.CSV:
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows(csv_row(row) for row in cells)
    else:
        print_rows(names, cells, nothing=nothing)


def _cells(reads: Reads) -> tuple[object, ...]:
    return (
        reads.reads,
        reads.rows,
        reads.unfinished,
        reads.possible,
        reads.first,
        reads.last,
        " ".join(sorted(reads.purposes)),
        " ".join(sorted(reads.columns)),
    )
