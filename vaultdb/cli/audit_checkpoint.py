"""`vaultdb audit checkpoint`: give the records of the log their leaves, and sign the tree."""

from __future__ import annotations

import base64
import json
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaultdb.audit.event import timestamp
from vaultdb.cli.asking import confirm
from vaultdb.cli.options import Json, Yes, options_of
from vaultdb.cli.report import FAILURE, plural
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.epochs import begin_epoch, plan_epoch
from vaultdb.jobs.audit.retention import Upkeep
from vaultdb.jobs.audit.sequencer import Sequencer, Step
from vaultdb.jobs.audit.sequencer_gaps import ALARM_AFTER, Gaps
from vaultdb.jobs.audit.sequencer_loop import Loop, Outcome
from vaultdb.jobs.audit.sequencer_opening import Opened, open_sequencer

if TYPE_CHECKING:
    from vaultdb.jobs.audit.signing import Signed

_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)?")
_UNITS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def add_to(app: typer.Typer) -> None:
    """Add the command to `vaultdb audit`."""
    app.command("checkpoint")(checkpoint)


def checkpoint(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="Sequence what is there, and stop; for cron.")
    ] = False,
    every: Annotated[
        str, typer.Option("--every", metavar="TIME", help="From one checkpoint to the next.")
    ] = "1s",
    alarm_after: Annotated[
        str,
        typer.Option(
            "--alarm-after", metavar="TIME", help="How long a chain may wait for a record."
        ),
    ] = f"{ALARM_AFTER:g}s",
    new_epoch: Annotated[
        bool,
        typer.Option(
            "--new-epoch", help="After a restore from a backup older than what was exported."
        ),
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Sign the audit log, once a second, until told to stop by SIGTERM or Ctrl-C.

    One works at a time; another one waits and takes over. Exit code 1 when a record is missing, or
    a sink has not taken the newest checkpoint.
    """
    seconds, alarm = _seconds(every, "--every"), _seconds(alarm_after, "--alarm-after")
    with open_sequencer(options_of(context).settings("sequencer")) as opened:
        if opened.exporter.is_empty:
            print(
                "warning: checkpoints stay in the database, where an administrator could roll them"
                " back with the log; set checkpoints in [audit]",
                file=sys.stderr,
            )
        if new_epoch:
            _begin_epoch(opened, yes=yes, as_json=as_json)
            return
        sequencer = Sequencer(
            opened.engine, opened.signer, gaps=Gaps(alarm), tell=opened.exporter.tell
        )
        teller = _Teller(sequencer.backlog, as_json=as_json, is_silent=once and as_json)
        loop = Loop(
            sequencer,
            opened.signer,
            opened.exporter,
            opened.auditor,
            upkeep=Upkeep(opened.engine),
            told=teller.tell,
        )
        outcome = loop.once() if once else loop.forever(seconds, _stopped())
    _finish(outcome, once=once, as_json=as_json)


class _Teller:
    """Prints a line for each checkpoint, and one when another sequencer is in the way."""

    def __init__(
        self, backlog: Callable[[], int], *, as_json: bool, is_silent: bool = False
    ) -> None:
        self._backlog = backlog
        self._is_silent = is_silent
        self._as_json = as_json
        self._was_busy = False
        self._left: int | None = None

    def tell(self, step: Step) -> None:
        """Tell of a step."""
        if step.is_busy and not self._was_busy:
            print("another sequencer is at work; waiting", file=sys.stderr, flush=True)
        self._was_busy = step.is_busy
        left = self._left_after(step)
        if step.added and step.signed and not self._is_silent:
            if self._as_json:
                print(json.dumps(_step_as_json(step) | {"waiting": left}), flush=True)
            else:
                more = f", about {left:,} wait" if left else ""
                print(
                    f"{timestamp()}  {step.signed}  +{step.added:,} in"
                    f" {1000 * step.seconds:,.0f} ms{more}",
                    flush=True,
                )

    def _left_after(self, step: Step) -> int:
        """Return about how many records wait; they are counted when it falls behind."""
        if not step.is_behind:
            self._left = None
            return 0
        self._left = self._backlog() if self._left is None else max(0, self._left - step.added)
        return self._left


def _begin_epoch(opened: Opened, *, yes: bool, as_json: bool) -> None:
    plan = plan_epoch(opened.engine, opened.signer, opened.exporter)
    here = f"size {plan.state.size:,} of epoch {plan.state.epoch}"
    print(f"the database ends at {here}", file=sys.stderr)
    print(
        f"exported was {plan.exported}"
        if plan.exported
        else "no sink can tell what was exported: compare by hand",
        file=sys.stderr,
    )
    if not yes:
        confirm(
            f"begin epoch {plan.epoch} at size {plan.state.size:,}? records above it that were"
            " signed before are gone from this database"
        )
    signed = begin_epoch(opened.engine, opened.signer, opened.auditor, opened.exporter, plan)
    if as_json:
        print(json.dumps(_signed_as_json(signed)))
    else:
        print(f"epoch {signed.epoch} begins at size {signed.checkpoint.size:,}")
        print("go on with: vaultdb audit checkpoint")
    if opened.exporter.late:
        raise typer.Exit(FAILURE)


def _finish(outcome: Outcome, *, once: bool, as_json: bool) -> None:
    for name in outcome.late:
        print(f"error: {name} does not have the newest checkpoint", file=sys.stderr)
    if once:
        if outcome.is_busy:
            print("error: another sequencer is at work, so nothing was done", file=sys.stderr)
        elif as_json:
            said = _step_as_json(outcome.step) | {
                "gaps": [
                    {"chain": str(gap.chain), "seq": gap.seq, "seconds": round(gap.seconds, 1)}
                    for gap in outcome.step.gaps
                ],
                "late": list(outcome.late),
            }
            print(json.dumps(said))
        elif outcome.step.signed is None:
            print("the audit log is empty")
        else:
            print(f"signed: {outcome.step.signed}")
        if outcome.gaps:
            print(f"error: {plural(outcome.gaps, 'chain')} with a missing record", file=sys.stderr)
    if not outcome.is_good and (once or outcome.gaps or outcome.late):
        raise typer.Exit(FAILURE)


def _step_as_json(step: Step) -> dict[str, Any]:
    return {
        "at": timestamp(),
        **(_signed_as_json(step.signed) if step.signed else {"size": 0}),
        "added": step.added,
        "behind": step.is_behind,
        "seconds": round(step.seconds, 4),
    }


def _signed_as_json(signed: Signed) -> dict[str, Any]:
    return {
        "epoch": signed.epoch,
        "size": signed.checkpoint.size,
        "root": base64.b64encode(signed.checkpoint.root).decode(),
        "note": signed.note,
    }


def _stopped() -> threading.Event:
    """Return what is set when the process is told to stop."""
    stop = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop


def _seconds(text: str, option: str) -> float:
    match = _SECONDS.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise ConfigurationError(f"{option} is a time such as 1s, 500ms or 2m")
    return float(match[1]) * _UNITS[match[2]]
