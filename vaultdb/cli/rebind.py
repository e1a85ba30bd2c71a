"""`vaultdb rebind`: values move to another primary key, tenant or realm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaultdb.cli.asking import confirm
from vaultdb.cli.job_output import JobBar
from vaultdb.cli.job_tools import JobTools
from vaultdb.cli.options import Json, Models, Options, Yes, options_of
from vaultdb.cli.report import FAILURE, plural, print_json
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.recording import recorded
from vaultdb.jobs.rotation.rebinding import KIND, RebindSpec, rebind_task
from vaultdb.jobs.work.job import Job, JobState, Progress
from vaultdb.jobs.work.runner import run_job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.store import JobStore

if TYPE_CHECKING:
    from vaultdb.jobs.work.job import JobResult


_CONFIG = "VAULTDB_CONFIG"


def command(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="Table, with its schema when it has one.")
    ],
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="COLUMN", help="Column of the new primary key; repeatable."),
    ] = None,
    into: Annotated[
        str, typer.Option("--into", metavar="SUFFIX", help="Of the columns for the new key.")
    ] = "",
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose values are moved.")] = None,
    to_tenant: Annotated[
        str | None, typer.Option("--to-tenant", help="Whose values they become.")
    ] = None,
    from_profile: Annotated[
        str | None,
        typer.Option("--from-profile", metavar="NAME", help="Profile of the realm they come from."),
    ] = None,
    model: Models = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=64, help="Processes that work at once.")
    ] = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan and stop.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Re-encrypt values for another primary key, tenant or realm; run it again to go on.

    For another primary key they are written beside those in use, for the release that uses them.
    """
    spec = RebindSpec(table, tuple(key or ()), into, tenant, to_tenant, from_profile)
    options = options_of(context)
    opener = JobTools(options, tuple(model or ()), table)
    with _config_of(options), opener() as tools, ExitStack() as closing:
        chosen = tools.metadata.tables[table]
        left = _count(spec, tools)
        if not as_json:
            print(f"{table}: {plural(left, 'row')} to move")
        if plan:
            if as_json:
                print_json({"table": table, "rows": left})
            return
        if not yes:
            confirm("go on?")
        closing.enter_context(recorded(options.settings("rotator"), "rebind", table))
        store = JobStore(tools.engine)
        job = store.start(
            KIND, table, spec.as_json(), split=lambda connection: split_table(connection, chosen)
        )
        if dict(job.spec) != spec.as_json():
            raise ConfigurationError(
                f"job {job.id} moves values of {table} in another way: look at vaultdb jobs status"
                f" {job.id}, and let it finish with its own options, or cancel it"
            )
        bar = JobBar(hidden=as_json)

        def told(progress: Progress) -> None:
            bar.show(job, progress)

        try:
            result = run_job(
                job.id,
                tools,
                workers=workers,
                progress=told,
                opener=opener if workers > 1 else None,
            )
        finally:
            bar.close()
    _report(result, as_json=as_json)
    if result.remaining != 0:
        raise typer.Exit(FAILURE)


@contextmanager
def _config_of(options: Options) -> Iterator[None]:
    """Let all workers read the profile of the other realm from the file that --config names."""
    before = os.environ.get(_CONFIG)
    if options.config is not None:
        os.environ[_CONFIG] = str(options.config)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_CONFIG, None)
        else:
            os.environ[_CONFIG] = before


def _count(spec: RebindSpec, tools: Any) -> int:
    now = datetime.now(UTC)
    asked = Job(0, KIND, spec.table, spec.as_json(), JobState.RUNNING, 0, 0, "", now, now)
    with tools.engine.connect() as connection:
        return rebind_task(asked, tools).remaining(connection)


def _report(result: JobResult, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "job": result.job.id,
                "state": result.job.state,
                "changed": result.changed,
                "quarantined": result.quarantined,
                "remaining": result.remaining,
            }
        )
        return
    print(f"moved {plural(result.changed, 'row')}")
    if result.remaining:
        print(
            f"left: {plural(result.remaining, 'row')}; look at: vaultdb jobs quarantine"
            f" {result.job.id}"
        )
