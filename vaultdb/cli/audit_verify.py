"""`vaultdb audit verify`: whether the log is what its processes wrote, all of it, in order."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from vaultdb.cli.options import Json, options_of
from vaultdb.cli.progress import progress_bar
from vaultdb.cli.report import plural, print_json, shown_on_terminal
from vaultdb.errors import ConfigurationError, VaultDBError
from vaultdb.jobs.audit.verify.agreement import UNSIGNED_AFTER
from vaultdb.jobs.audit.verify.findings import Problem
from vaultdb.jobs.audit.verify.run import (
    Opened,
    Verification,
    open_verification,
    record_verification,
    vault_trust,
    verify,
)
from vaultdb.jobs.audit.verify.trust import Trust, read_checkpoints, read_keys
from vaultdb.settings import Settings

TAMPERED = 3
"""Exit code: the log is not what was written; 1 is for a verification that could not be done."""
_LONG = 1.0
"""Seconds from which on a speed says anything."""


def add_to(app: typer.Typer) -> None:
    """Add the command to `vaultdb audit`."""
    app.command("verify")(verify_log)


def verify_log(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="FILE", help="Public keys, from audit keys; default: ask Vault."
        ),
    ] = None,
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoints", metavar="FILE", help="Checkpoints that were exported; repeatable."
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Without Vault: tree and signatures only.")
    ] = False,
    unsigned_after: Annotated[
        float,
        typer.Option(
            "--unsigned-after",
            metavar="SECONDS",
            min=0,
            help="How long a record may wait for a checkpoint.",
        ),
    ] = UNSIGNED_AFTER,
    as_json: Json = False,
) -> None:
    """Verify every record, chain, leaf and checkpoint; the database is not believed anything.

    Exit code 0: all is well. 3: something was changed, and the first record is named. 1: it could
    not be verified.
    """
    if offline and key is None:
        raise ConfigurationError(
            "--offline needs --key FILE, written before by: vaultdb audit keys --export-key FILE"
        )
    settings = options_of(context).settings("auditor")
    with open_verification(settings) as opened:
        trust = _trust(settings, opened, key, checkpoints or [], offline=offline)
        with ExitStack() as bars:

            def tell(what: str, total: int) -> Callable[[int], None]:
                bars.close()
                return bars.enter_context(progress_bar(what, total, hidden=as_json))

            found = verify(opened.connection, trust, tell, unsigned_after=unsigned_after)
        if as_json:
            print_json(_as_json(found))
        else:
            _print(found)
        if not offline:
            _record(opened, found)
    if not found.is_good:
        raise typer.Exit(TAMPERED)


def _record(opened: Opened, found: Verification) -> None:
    try:
        record_verification(opened.auditor, found)
    except VaultDBError as error:
        if found.is_good:
            raise
        print(f"note: that the log was verified could not be recorded: {error}", file=sys.stderr)


def _trust(
    settings: Settings, opened: Opened, key: Path | None, kept: list[Path], *, offline: bool
) -> Trust:
    believed = None if key is None else read_keys(key)
    if offline:
        assert believed is not None
        trust = Trust(str(settings.realm), believed)
    else:
        trust = vault_trust(settings, opened.credentials, public_keys=believed)
    return replace(trust, kept=read_checkpoints(kept, trust))


def _print(found: Verification) -> None:
    findings = found.findings
    for remark in findings.remarks:
        print(f"note: {remark}", file=sys.stderr)
    counted = (
        f"{plural(found.events, 'record')}, {found.leaves:,} of them below a checkpoint,"
        f" in {found.seconds:,.1f} s"
    )
    if found.seconds >= _LONG:
        counted += f" ({found.events / found.seconds:,.0f}/s)"
    if findings.first is None:
        print(f"the audit log is whole: {counted}")
        return
    print(f"the audit log was changed: {plural(findings.total, 'problem')} in {counted}")
    print(f"first bad record: {shown_on_terminal(str(findings.first))}")
    for problem in findings.problems[1:]:
        print(f"  {shown_on_terminal(str(problem))}")
    if findings.total > len(findings.problems):
        print(f"  and {findings.total - len(findings.problems):,} more")
    print(f"what to do: {findings.first.remedy}")


def _as_json(found: Verification) -> dict[str, Any]:
    first = found.findings.first
    return {
        "good": found.is_good,
        "records": found.events,
        "leaves": found.leaves,
        "without_leaf": found.unsequenced,
        "offline": found.offline,
        "seconds": round(found.seconds, 3),
        "first": None if first is None else _problem(first),
        "problems": [_problem(each) for each in found.findings.problems],
        "total": found.findings.total,
        "kinds": dict(sorted(found.findings.counts.items())),
        "remarks": found.findings.remarks,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "what": problem.what,
        "chain": None if problem.chain is None else str(problem.chain),
        "seq": problem.seq,
        "leaf": problem.index,
        "at": problem.at,
        "event": problem.event,
        "remedy": problem.remedy,
    }
