"""`vaultdb rotate`: a new version of the KEK, and every DEK wrapped under it."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.cli.asking import confirm
from vaultdb.cli.key_backup import backup_as_json, print_backup
from vaultdb.cli.opening import key_store, key_table, open_provider
from vaultdb.cli.options import Json, Yes, options_of
from vaultdb.cli.progress import progress_bar
from vaultdb.cli.report import FAILURE, plural, print_json
from vaultdb.jobs import rewrap
from vaultdb.jobs.keybackup.backup import back_up_if_wanted

if TYPE_CHECKING:
    from vaultdb.jobs.rewrap import Plan, Rewrapped

SHOWN = 5
"""Failures printed one by one; the rest is counted."""


def command(
    context: typer.Context,
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan and stop.")] = False,
    rotate: Annotated[
        bool | None,
        typer.Option(
            "--kek/--no-kek",
            help="Rotate the KEK first, or only rewrap.  \\[default: rotate, unless an earlier"
            " rotation is unfinished]",
        ),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Rotate the key-encryption key and rewrap every data key under it.

    No row of the application changes. It can be killed at any point: run it again and it goes on.
    The previous wrapping of each key stays until: vaultdb keys verify
    """
    settings = options_of(context).settings("rotator")
    with open_provider(settings) as provider, key_store(settings) as store:
        provider.check()
        table = key_table(store, settings)
        agreed = rewrap.plan(provider, table, rotate=rotate)
        if not as_json:
            _print_plan(agreed)
        if plan:
            if as_json:
                print_json(asdict(agreed))
            return
        if not yes:
            confirm("go on?")
        started = time.monotonic()
        with progress_bar("rewrapping", agreed.rewraps, hidden=as_json) as progress:
            done = rewrap.run(agreed, provider, table, progress=progress)
        seconds = time.monotonic() - started
        unverified = table.survey(done.kek_version).unverified
        if not as_json:
            _print_result(done, seconds, unverified)
        written = back_up_if_wanted(store, settings)
    if as_json:
        backup = written and backup_as_json(written)
        result = {**asdict(done), "seconds": round(seconds, 2), "unverified": unverified}
        print_json({**result, "backup": backup})
    elif written is not None:
        print_backup(written)
    if done.failures:
        raise typer.Exit(FAILURE)


def _print_plan(agreed: Plan) -> None:
    if agreed.rotates:
        print(f"rotate the KEK, from version {agreed.kek_version} to {agreed.kek_version + 1}")
    elif agreed.stale:
        print(
            f"the KEK is at version {agreed.kek_version} and an earlier rotation is unfinished:"
            " do not rotate it again"
        )
    else:
        print(f"do not rotate the KEK, it stays at version {agreed.kek_version}")
    print(f"rewrap {agreed.rewraps:,} of {plural(agreed.keys, 'data key')}")
    if agreed.unverified:
        print(
            f"{plural(agreed.unverified, 'key')} of the last rotation not verified yet; their"
            " last verified wrapping is kept"
        )


def _print_result(done: Rewrapped, seconds: float, unverified: int) -> None:
    print(
        f"rewrapped {plural(done.rewrapped, 'data key')} under version {done.kek_version} of the"
        f" KEK in {seconds:.1f} s"
    )
    for failure in done.failures[:SHOWN]:
        print(f"not rewrapped: {failure}")
    if len(done.failures) > SHOWN:
        print(f"and {len(done.failures) - SHOWN:,} more")
    if unverified:
        print(f"{plural(unverified, 'key')} to verify; run: vaultdb keys verify")
