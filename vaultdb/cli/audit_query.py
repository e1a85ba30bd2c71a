"""`vaultdb audit query`: what is in the log, by who, what, when and why."""

from __future__ import annotations

import sys
from typing import Annotated
from uuid import UUID

import typer

from vaultdb.cli.audit_output import Format, print_found
from vaultdb.cli.options import JsonLines, options_of
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.query import Log, open_log
from vaultdb.jobs.audit.query_filter import Filter
from vaultdb.jobs.audit.query_keys import KeyFinder
from vaultdb.jobs.audit.query_times import parse_time

Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="ISO 8601 in UTC, a day, a month, or 24h, 7d ago."
    ),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="The first time that is too late.")
]
Principal = Annotated[str | None, typer.Option("--principal", help="Who did it.")]
Table = Annotated[str | None, typer.Option("--table", help="With its schema or without.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How entries are printed.")]


def add_to(app: typer.Typer) -> None:
    """Add the command to `vaultdb audit`."""
    app.command("query")(query)


def query(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    principal: Principal = None,
    table: Table = None,
    column: Annotated[
        str | None, typer.Option("--column", help="With its table or without.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", help="A row's primary key; with --table. Text keys need the auditor's Vault."
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    event: Annotated[
        str | None, typer.Option("--event", help="Its name or number, as data.read or 2000.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose data.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="Why.")] = None,
    request: Annotated[str | None, typer.Option("--request", help="The id of a request.")] = None,
    chain: Annotated[str | None, typer.Option("--chain", help="The id of a chain.")] = None,
    oldest_first: Annotated[
        bool, typer.Option("--oldest-first", help="In the order of the log.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="The most entries that are shown.")
    ] = None,
    format_: FormatOption = Format.TABLE,
    as_json: JsonLines = False,
) -> None:
    """Show events of the log, the newest first; a read is shown with its rows and keys.

    The question is recorded in the log before it is answered.
    """
    wanted = Filter(
        principal=principal,
        table=table,
        column=column,
        key=key,
        since=None if since is None else parse_time(since, "--since"),
        until=None if until is None else parse_time(until, "--until"),
        event=event,
        tenant=tenant,
        purpose=purpose,
        request=request,
        chain=chain_of(chain),
    )
    if key is not None and table is None:
        raise ConfigurationError("--key needs --table: a key says nothing without its table")
    with open_log(options_of(context).settings("auditor")) as log:
        log.note("query", wanted.said())
        finder = None if key is None else log.finder(key)
        found = log.find(wanted, oldest_first=oldest_first, limit=limit, finder=finder)
        print_found(found, Format.JSONL if as_json else format_)
        warn_of_unopened(finder, log)


def warn_of_unopened(finder: KeyFinder | None, log: Log) -> None:
    """Say on stderr that text keys of some chains could not be compared."""
    if finder is not None and finder.unopened:
        why = "vault opened none of" if log.escrow else "there is no vault login to open"
        print(
            f"note: {why} {finder.unopened:,} chains, so their reads by a text key may be about it",
            file=sys.stderr,
        )


def chain_of(text: str | None) -> UUID | None:
    """Return the id of a chain.

    Raises:
        ConfigurationError: it is none.

    """
    try:
        return None if text is None else UUID(text)
    except ValueError:
        raise ConfigurationError("--chain is the id of a chain, a UUID") from None
