"""`vaultdb rotate`: new KEKs and data keys, and everything brought under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.audit.kinds import KEK_ROTATED, KEY_REWRAPPED
from vaultdb.cli.asking import confirm
from vaultdb.cli.job_tools import JobTools
from vaultdb.cli.key_backup import print_backup
from vaultdb.cli.models import NO_MODELS, load_models
from vaultdb.cli.options import Json, Models, Yes, options_of
from vaultdb.cli.progress import progress_bar
from vaultdb.cli.report import FAILURE, print_json
from vaultdb.cli.rotate_output import Done, Teller, left_elsewhere, print_kek
from vaultdb.cli.rotate_plan import plan_as_json, print_plan
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.recording import recorded
from vaultdb.jobs.rotation.here import missing_right
from vaultdb.jobs.rotation.kek import KekDone, KekRotation
from vaultdb.jobs.rotation.logins import Logins
from vaultdb.jobs.rotation.run import How, Rotated, RowRotation
from vaultdb.jobs.rotation.selection import Selection
from vaultdb.jobs.work.dead_rows import MAX_BLOAT
from vaultdb.jobs.work.pace import Pace

if TYPE_CHECKING:
    from vaultdb.jobs.keybackup.folder import Written
    from vaultdb.jobs.rewrap import Plan
    from vaultdb.jobs.rotation.plan import RowsPlan
    from vaultdb.settings import Settings
    from vaultdb.settings.model import Role

_ROLES: tuple[Role, ...] = ("rotator", "officer", "reencryptor")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be done, as the options say."""

    kek: bool
    rows: bool
    rotates_kek: bool | None

    @classmethod
    def of(cls, *, kek: bool, dek: bool, rewrap: bool) -> _Wanted:
        if dek and (kek or rewrap):
            raise ConfigurationError(
                "--dek does not go with --kek or --rewrap; without any of them all is done"
            )
        if kek and rewrap:
            raise ConfigurationError("--rewrap makes no new version of the KEK, and --kek does")
        return cls(not dek, dek or not (kek or rewrap), False if rewrap else None)


def command(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    kek: Annotated[bool, typer.Option("--kek", help="Only the KEK, and rewrap.")] = False,
    dek: Annotated[bool, typer.Option("--dek", help="Only data keys, and the rows.")] = False,
    rewrap: Annotated[
        bool, typer.Option("--rewrap", help="Only rewrap, under the KEK as it is.")
    ] = False,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None,
    keyset: Annotated[str | None, typer.Option("--keyset", help="Only this keyset's.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="TABLE.COLUMN", help="Only this column; repeatable."),
    ] = None,
    model: Models = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=64, help="Processes that re-encrypt.")
    ] = 1,
    max_lag: Annotated[
        float | None,
        typer.Option("--max-lag", metavar="SECONDS", help="Wait while a replica is behind more."),
    ] = None,
    max_rate: Annotated[
        float | None,
        typer.Option("--max-rows-per-second", metavar="N", help="Of all workers together."),
    ] = None,
    max_bloat: Annotated[
        float,
        typer.Option(
            "--max-bloat",
            metavar="X",
            min=0,
            help="Wait for autovacuum from X dead rows for each living one on; 0 never waits.",
        ),
    ] = MAX_BLOAT,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait", help="Wait until every process knows new keys, then finish."
        ),
    ] = True,
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan and stop.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Rotate keys: the KEK, then the data keys, and bring everything under the new ones.

    It can be killed at any point: run it again and it goes on, without another version of a key.
    """
    options = options_of(context)
    wanted = _Wanted.of(kek=kek, dek=dek, rewrap=rewrap)
    selection = Selection(tenant, keyset, tuple(column or ()))
    Pace(max_lag=max_lag, max_rows_per_second=max_rate)  # refused before a key is made
    if selection.columns and not wanted.rows:
        raise ConfigurationError("--column does not go with --kek or --rewrap: it is for --dek")
    names = tuple(model or ())
    models = load_models(list(names), options.settings("rotator")) if wanted.rows else []
    if not models and (dek or selection.columns or keyset is not None):
        raise ConfigurationError(NO_MODELS)
    tools = JobTools(
        options,
        names,
        max_lag=max_lag,
        max_rows_per_second=max_rate and max_rate / workers,
        max_bloat=max_bloat,
    )
    how = How(workers, wait, options.settings("rotator").keyring.hard_ttl)
    told = Teller(hidden=as_json)
    logins = Logins(options.settings)
    rotation = RowRotation(
        logins, models, selection, how, tools_of=lambda table: tools.of(table.fullname), told=told
    )
    _Command(
        KekRotation(logins, tenant, wanted.rotates_kek) if wanted.kek else None,
        rotation if models else None,
        {role: missing_right(options.settings, role) for role in _ROLES},
        how,
        options.settings("rotator"),
        wants_rows=wanted.rows,
        as_json=as_json,
    ).run(plan_only=plan, yes=yes)


@dataclass(frozen=True, slots=True)
class _Command:
    """Both halves, either of which may be missing."""

    kek: KekRotation | None
    rows: RowRotation | None
    missing: Mapping[Role, str | None]
    how: How
    settings: Settings
    wants_rows: bool
    as_json: bool

    def run(self, *, plan_only: bool, yes: bool) -> None:
        """Show the plan, ask, carry it out, and say what is left."""
        agreed = self.kek.plan() if self.kek and not self.missing["rotator"] else None
        rows = self.rows.plan() if self.rows else None
        if not self.as_json:
            print_plan(agreed, rows, self.missing, self.how.workers)
        if plan_only:
            if self.as_json:
                print_json(plan_as_json(agreed, rows, self.missing, self.how.workers))
            return
        if not yes:
            confirm("go on?")
        with recorded(self.settings, "rotate") as record:
            kek, backup = self._rotate_kek(agreed)
            if kek is not None:
                if kek.rewrapped.rotated:
                    record(KEK_ROTATED, version=kek.rewrapped.kek_version)
                record(KEY_REWRAPPED, rows=kek.rewrapped.rewrapped)
            done = Done(kek, self._rotate_rows(rows), self._left(rows), backup)
        if self.as_json:
            print_json(done.as_json())
        else:
            done.print_left()
        if done.has_failed:
            raise typer.Exit(FAILURE)

    def _left(self, rows: RowsPlan | None) -> list[str]:
        left = left_elsewhere(self.missing, rows, wants_kek=self.kek is not None)
        if self.wants_rows and self.rows is None:
            left.append(f"data keys and rows; {NO_MODELS}")
        return left

    def _rotate_kek(self, agreed: Plan | None) -> tuple[KekDone | None, Written | None]:
        if self.kek is None or agreed is None:
            return None, None
        with progress_bar("rewrapping", agreed.rewraps, hidden=self.as_json) as progress:
            verifies = self.rows is not None and not self.missing["reencryptor"]
            done = self.kek.run(agreed, progress=progress, verifies=verifies)
        if not self.as_json:
            print_kek(done)
        backup = self.kek.back_up()
        if backup is not None and not self.as_json:
            print_backup(backup)
        return done, backup

    def _rotate_rows(self, agreed: RowsPlan | None) -> Rotated | None:
        if self.rows is None or agreed is None or self.missing["reencryptor"]:
            return None
        return self.rows.run(agreed, makes_keys=not self.missing["officer"])
