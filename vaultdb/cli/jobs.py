"""`vaultdb jobs`: work over the rows of tables, wherever its workers run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from vaultdb.cli.asking import confirm
from vaultdb.cli.job_output import TITLES, JobBar, job_as_json, print_line, row_of
from vaultdb.cli.jobs_queue import add_to
from vaultdb.cli.options import Json, Yes, options_of
from vaultdb.cli.report import FAILURE, plural, print_json, print_table
from vaultdb.db.connect import new_engine
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.store import JobStore

app = typer.Typer(help="Look at jobs, pause, resume and cancel them.", no_args_is_help=True)

FOLLOWED = 1.0
"""Seconds between two looks of --follow."""

Number = Annotated[int, typer.Argument(metavar="JOB", help="The job's number.")]


@app.command("list")
def list_jobs(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    as_json: Json = False,
) -> None:
    """List the jobs that are not over, newest first: how far each is, how fast, what is left."""
    with _store(context) as store:
        found = [(job, store.progress(job.id)) for job in store.list(open_only=not all_)]
    if as_json:
        print_json([job_as_json(*each) for each in found])
    else:
        nothing = "there are no jobs" if all_ else "no job is open; --all lists those that are over"
        print_table(TITLES, [row_of(*each) for each in found], nothing=nothing)


@app.command()
def status(
    context: typer.Context,
    job: Number,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Until it is over; --json prints a line a second."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show how far a job has come; exit code 1 when it was cancelled or left values behind."""
    with _store(context) as store:
        bar = JobBar(hidden=as_json)
        try:
            while True:
                found, progress = store.get(job), store.progress(job)
                if follow and as_json:
                    print_line(found, progress)
                elif follow:
                    bar.show(found, progress)
                if not follow or not found.state.is_open:
                    break
                time.sleep(FOLLOWED)
        finally:
            bar.close()
    if as_json and not follow:
        print_json(job_as_json(found, progress))
    elif not as_json:
        print_table(TITLES, [row_of(found, progress)], nothing="")
        if progress.quarantined:
            print(
                f"{plural(progress.quarantined, 'value')} left as they are; look at: vaultdb jobs"
                f" quarantine {job}"
            )
    if found.state is JobState.CANCELLED or progress.quarantined:
        raise typer.Exit(FAILURE)


@app.command()
def pause(context: typer.Context, job: Number) -> None:
    """Let workers stop after their batch; what is done stays done."""
    with _store(context) as store:
        store.pause(job)
    print(f"job {job} is paused; go on with: vaultdb jobs resume {job}")


@app.command()
def resume(context: typer.Context, job: Number) -> None:
    """Let workers take a paused job up again; start one with the command that started the job."""
    with _store(context) as store:
        found = store.resume(job)
    print(f"job {job} is {found.state}")


@app.command()
def cancel(context: typer.Context, job: Number, yes: Yes = False) -> None:
    """End a job for good; what is done stays done."""
    with _store(context) as store:
        found = store.get(job)
        if not yes:
            confirm(f"cancel job {job}, {found.kind} of {found.target}?")
        store.cancel(job)
    print(f"job {job} is cancelled")


@app.command()
def quarantine(
    context: typer.Context,
    job: Number,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    as_json: Json = False,
) -> None:
    """List the values that a job left as they are: the row's key, the column, the reason."""
    with _store(context) as store:
        store.get(job)
        found = store.quarantined(job, limit)
        total = store.progress(job).quarantined
    if as_json:
        print_json([{"key": bad.key, "column": bad.column, "reason": bad.reason} for bad in found])
        return
    rows = [(", ".join(bad.key), bad.column or "-", bad.reason) for bad in found]
    print_table(("key", "column", "reason"), rows, nothing="nothing is in quarantine")
    if total > len(found):
        print(f"and {total - len(found):,} more; say --limit")


add_to(app)


@contextmanager
def _store(context: typer.Context) -> Iterator[JobStore]:
    engine = new_engine(options_of(context).settings("rotator"))
    try:
        yield JobStore(engine)
    finally:
        engine.dispose()
