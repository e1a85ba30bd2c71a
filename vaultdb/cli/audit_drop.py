"""`vaultdb audit partitions | drop-before`: the months of the log, and the end of old ones."""

from __future__ import annotations

from typing import Annotated

import typer

from vaultdb.audit.auditor import AuditMode
from vaultdb.cli.asking import confirm
from vaultdb.cli.options import Json, Yes, options_of
from vaultdb.cli.report import plural, print_json, print_table
from vaultdb.db.connect import new_engine
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.retention import (
    AHEAD,
    Dropping,
    announce,
    drop,
    list_months,
    make_ahead,
    month_of,
    plan_drop,
)
from vaultdb.jobs.audit.sequencer import Sequencer
from vaultdb.jobs.audit.sequencer_opening import Opened, open_sequencer


def add_to(app: typer.Typer) -> None:
    """Add the commands to `vaultdb audit`."""
    app.command("partitions")(partitions)
    app.command("drop-before")(drop_before)


def partitions(
    context: typer.Context,
    ahead: Annotated[
        int, typer.Option("--ahead", min=0, max=24, help="Months to make beside this one.")
    ] = AHEAD,
    as_json: Json = False,
) -> None:
    """Make the log's partitions of the next months, and list all; the sequencer does so hourly."""
    with open_sequencer(options_of(context).settings("sequencer")) as opened:
        made = make_ahead(opened.engine, ahead)
        months = list_months(opened.engine)
    if as_json:
        print_json(
            [
                {"month": str(each), "table": each.name, "events": each.rows, "bytes": each.size}
                for each in months
            ]
        )
        return
    rows = [(each, "?" if each.rows < 0 else f"{each.rows:,}", f"{each.size:,}") for each in months]
    print_table(("month", "about events", "bytes"), rows, nothing="there are no partitions")
    print(f"{plural(made, 'partition')} made")


def drop_before(
    context: typer.Context,
    month: Annotated[
        str, typer.Argument(metavar="MONTH", help="The first month that stays, such as 2026-03.")
    ],
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan and stop.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Drop whole months of the log that are past retention, by an administrator's login.

    Every record of them must have a leaf below a signed checkpoint; the leaves stay. An event says
    what will be dropped, and is signed before that happens.
    """
    before, options = month_of(month), options_of(context)
    with open_sequencer(options.settings("sequencer")) as opened:
        sequencer = Sequencer(opened.engine, opened.signer, tell=opened.exporter.tell)
        state = sequencer.state()
        sequencer.must_follow(opened.exporter.newest(opened.signer, state.place))
        upto = sequencer.state().size
        found = plan_drop(opened.engine, before, upto)
        if not as_json or not (plan or yes):
            _print_plan(found, upto)
        if plan or not found:
            if as_json:
                print_json(_as_json(found, upto, dropped=False))
            return
        if not yes:
            confirm("drop them for good? their leaves stay")
        _drop(opened, sequencer, found, upto, context, quiet=as_json)
    if as_json:
        print_json(_as_json(found, upto, dropped=True))


def _drop(
    opened: Opened,
    sequencer: Sequencer,
    found: list[Dropping],
    upto: int,
    context: typer.Context,
    *,
    quiet: bool,
) -> None:
    if opened.auditor.mode is AuditMode.OFF:
        raise ConfigurationError(
            "what is dropped must be recorded first, and the audit mode of the sequencer is off;"
            " set mode in [audit]"
        )
    signed = announce(opened.auditor, sequencer, found, upto)
    if signed is not None:
        opened.exporter.offer(signed)
        opened.exporter.flush(everything=True)
    engine = new_engine(options_of(context).settings("admin"), searches_models=False)
    try:
        drop(
            engine,
            found,
            upto,
            done=lambda each: None if quiet else print(f"dropped {each.month}"),
        )
    finally:
        engine.dispose()


def _print_plan(found: list[Dropping], upto: int) -> None:
    rows = [(each.month, f"{each.events:,}", f"{each.month.size:,}") for each in found]
    print_table(("month", "events", "bytes"), rows, nothing="no month is older")
    if found:
        print(f"all of them have leaves below the checkpoint of size {upto:,}")


def _as_json(found: list[Dropping], upto: int, *, dropped: bool) -> dict[str, object]:
    return {
        "checkpoint": upto,
        "dropped": dropped,
        "months": [
            {"month": str(each.month), "events": each.events, "bytes": each.month.size}
            for each in found
        ],
    }
