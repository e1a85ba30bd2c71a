"""`vaultdb demo`: the main job on private servers, which go away again."""

from __future__ import annotations

import signal
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from vaultdb.cli.options import Json
from vaultdb.cli.report import plural, print_json
from vaultdb.demo.data import read_patients

if TYPE_CHECKING:
    from vaultdb.demo.auditing import Auditing
    from vaultdb.demo.job import Step
    from vaultdb.demo.privileges import Privileges
    from vaultdb.demo.rotation import Counts
    from vaultdb.dev.stack import DevStack

WIDTH = 79
"""Characters in a line of text, as in a small terminal."""

START = "start OpenBao and PostgreSQL"


def command(
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Patients, with the columns of Synthea's patients.csv.  \\[default: 1,000"
            " invented ones]",
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the servers running and say how to reach them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Encrypt, search, steal, attack and rotate on private servers, in under a minute.

    Starts an OpenBao and a PostgreSQL of its own in a temporary folder, where no login has a
    password: Vault leases each. Loads patients through encrypted columns, finds one by SSN, looks
    at the same row with psql and at a dump, exchanges ciphertexts and index values behind the
    application's back, lets each role try what it must not do, undermines the roles as a superuser
    and repairs them, revokes the application's login, rotates the key-encryption key, re-encrypts
    every row under a new data key while the application goes on writing, retires the old one and
    reads everything back. Nothing stays running or stored unless --keep.
    """
    patients = read_patients(csv)
    # Only now: SQLAlchemy, Alembic and hvac take longer to import than a bad file to refuse.
    from vaultdb.demo.job import Demo, Step
    from vaultdb.dev.temporary import temporary_stack

    console = Console(stderr=True)
    start = perf_counter()
    with _terminable(), console.status(START) as status, temporary_stack(keep=keep) as stack:
        steps = [Step(START, "with TLS, on free ports", perf_counter() - start)]
        demo = Demo(stack, patients)
        steps += demo.run(status.update)
    seconds = perf_counter() - start
    if as_json:
        found = _as_json(steps, len(patients), seconds, stack if keep else None)
        found["rotation"] = asdict(demo.rotation.counts)
        found["audit"] = [str(each) for each in demo.auditing.problems]
        print_json(found | _privileges_as_json(demo.privileges))
        return
    Console().print(_table(steps, seconds))
    _print_privileges(demo.privileges)
    _print_rotation(demo.rotation.counts)
    _print_audit(demo.auditing)
    print(_farewell(stack) if keep else "the servers are stopped, and what they stored is deleted")


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does: with its servers."""

    def stop(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _table(steps: Sequence[Step], seconds: float) -> Table:
    table = Table("step", "result", caption=f"{plural(len(steps), 'step')} in {seconds:.1f} s")
    table.add_column("seconds", justify="right")
    for step in steps:
        table.add_row(step.name, step.result, f"{step.seconds:.2f}")
    return table


def _print_privileges(found: Privileges) -> None:
    console = Console(highlight=False, markup=False)
    table = Table(*found.columns, box=None, pad_edge=False)
    for row in found.matrix:
        table.add_row(*row)
    console.print("\nWhat PostgreSQL lets each login do with the patients")
    console.print(table)
    console.print("columns: only some of them; *: by its role, which it takes at login\n")
    console.print("What vaultdb roles verify said about the superuser's mistakes")
    for drift in found.drifts:
        for line in (drift.problem, f"  {drift.remedy}"):
            print(textwrap.fill(line, WIDTH, subsequent_indent="  "))
    print()


def _print_rotation(found: Counts) -> None:
    print("What became of the old data key")
    values, met = plural(found.values, "value"), plural(found.conflicts, "row")
    fate = (
        f"{found.under_old_key} of {values} are under it. It is {found.old_key}: it opens nothing,"
        f" and may be destroyed after a week. {met} that the application was just writing had to"
        " be met again."
    )
    print(textwrap.fill(fate, WIDTH), end="\n\n")


def _print_audit(found: Auditing) -> None:
    print("What vaultdb audit verify said about the superuser's work on the audit log")
    for problem in found.problems:
        print(textwrap.fill(str(problem), WIDTH, subsequent_indent="  "))
    print()


def _privileges_as_json(found: Privileges) -> dict[str, object]:
    return {
        "matrix": [dict(zip(found.columns, row, strict=True)) for row in found.matrix],
        "drifts": [{"problem": each.problem, "remedy": each.remedy} for each in found.drifts],
    }


def _farewell(stack: DevStack) -> str:
    folder = stack.folder.root
    return (
        f"the servers keep running, with the table patient in the database app\n"
        f'use them:    eval "$(vaultdb dev env --state {folder})"\n'
        f"delete them: vaultdb dev reset --yes --state {folder}"
    )


def _as_json(
    steps: Sequence[Step], patients: int, seconds: float, kept: DevStack | None
) -> dict[str, object]:
    return {
        "patients": patients,
        "seconds": round(seconds, 2),
        "steps": [asdict(step) | {"seconds": round(step.seconds, 3)} for step in steps],
        "state": str(kept.folder.root) if kept else None,
    }
