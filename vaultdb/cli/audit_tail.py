"""`vaultdb audit tail`: the end of the log, and what is written from now on."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from vaultdb.cli.audit_output import entry_as_json, print_line, row_of
from vaultdb.cli.options import JsonLines, options_of
from vaultdb.cli.report import shown_on_terminal
from vaultdb.jobs.audit.query import Found, open_log
from vaultdb.jobs.audit.query_entry import Entry
from vaultdb.jobs.audit.tail import follow, last_entries

EVERY = 0.5
"""Seconds between two looks at the log."""


def add_to(app: typer.Typer) -> None:
    """Add the command to `vaultdb audit`."""
    app.command("tail")(tail)


def tail(
    context: typer.Context,
    count: Annotated[int, typer.Option("--lines", "-n", min=0, help="Events to begin with.")] = 10,
    follow_: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as events are written, until Ctrl-C.")
    ] = False,
    as_json: JsonLines = False,
) -> None:
    """Show the last events, one a line."""
    with open_log(options_of(context).settings("auditor")) as log:
        log.note("tail", {"lines": count, "follow": follow_})
        shown = last_entries(log, count)
        for entry in shown:
            _print(entry, as_json=as_json)
        if follow_:
            for entry in follow(log, _pause, shown):
                _print(entry, as_json=as_json)


def _pause() -> bool:
    sys.stdout.flush()
    time.sleep(EVERY)
    return False


def _print(entry: Entry, *, as_json: bool) -> None:
    if as_json:
        print_line(sys.stdout, entry_as_json(Found(entry)))
        return
    cells = (str(cell) for cell in row_of(entry)[:9])
    print(shown_on_terminal("  ".join(filter(None, cells)).replace("\n", "\\n")))
