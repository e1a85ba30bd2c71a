"""`vaultdb jobs install | send | worker`: jobs on many machines, through procrastinate's queue."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.cli.asking import confirm
from vaultdb.cli.job_tools import JobTools
from vaultdb.cli.options import Models, Yes, options_of
from vaultdb.cli.report import plural, show_logs
from vaultdb.db.connect import new_engine
from vaultdb.db.failures import plain_failures
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.recording import recorded
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.store import JobStore

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from vaultdb.jobs.work.task import Tools

Number = Annotated[int, typer.Argument(metavar="JOB", help="The job's number.")]

_MISSING = "procrastinate is missing; install vaultdb-sqlalchemy[procrastinate]"


def add_to(app: typer.Typer) -> None:
    """Add the commands to `vaultdb jobs`."""
    app.command("install")(install)
    app.command("send")(send)
    app.command("worker")(worker)


def install(context: typer.Context, yes: Yes = False) -> None:
    """Make procrastinate's tables, once, by the migrator's login."""
    _check_installed()
    from vaultdb.alembic.login import migrator_engine
    from vaultdb.alembic.session import migrating
    from vaultdb.jobs.distributed import schema

    settings = options_of(context).settings("migrator")
    names = RoleNames(settings.database.role_prefix)
    engine = migrator_engine(settings)
    try:
        with plain_failures("make procrastinate's tables"), migrating(engine, names=names) as made:
            with made.connection.begin():
                found = schema.installed(made.connection).version
            if found is None and not yes:
                confirm(
                    f"make schema {schema.SCHEMA} with the tables of procrastinate"
                    f" {schema.current_version()}, for role {names.rotator}?"
                )
            with made.connection.begin():
                done = schema.install(made.connection, names)
    finally:
        engine.dispose()
    print(f"schema {schema.SCHEMA}: {'made' if done else 'is there already'}")


def send(context: typer.Context, job: Number) -> None:
    """Put the chunks of a running job into the queue, for workers on any machine."""
    _check_installed()
    from vaultdb.jobs.distributed.connector import connector_for
    from vaultdb.jobs.distributed.queue import queue, unfinished
    from vaultdb.jobs.distributed.queue import send as put

    settings = options_of(context).settings("rotator")
    with closing(Credentials(settings)) as credentials:
        engine = new_engine(settings, credentials=credentials)
        try:
            store = JobStore(engine)
            found = store.get(job)
            count = unfinished(store, job)
        finally:
            engine.dispose()
        if found.state is not JobState.RUNNING:
            raise ConfigurationError(f"job {job} is {found.state}: only a running job can be sent")
        app = queue(connector_for(settings, credentials))

        async def run() -> None:
            async with app.open_async():
                await put(app, job, count)

        with plain_failures("put the job into the queue"):
            asyncio.run(run())
    print(
        f"{plural(count, 'chunk')} of job {job} in the queue; follow: vaultdb jobs status {job} -f"
    )


def worker(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    model: Models = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=16, help="Chunks at once, in threads.")
    ] = 1,
    max_lag: Annotated[
        float | None,
        typer.Option("--max-lag", metavar="SECONDS", help="Wait while a replica is behind more."),
    ] = None,
    max_rate: Annotated[
        float | None,
        typer.Option("--max-rows-per-second", metavar="N", help="Of this worker."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="Take jobs of this kind, too; repeatable.  \\[reencrypt]"),
    ] = None,
    until_done: Annotated[
        bool, typer.Option("--until-done", help="Stop when the queue is empty.")
    ] = False,
) -> None:
    """Work on chunks from the queue, until SIGINT or SIGTERM; a batch is finished first."""
    _check_installed()
    from vaultdb.jobs.distributed.worker import run_worker

    options = options_of(context)
    settings = options.settings("rotator")
    tools = JobTools(
        options,
        tuple(model or ()),
        threads=concurrency,
        max_lag=max_lag,
        max_rows_per_second=max_rate,
    )

    # Re-encryption keeps every value's tenant and place. Jobs of other kinds move values, as their
    # spec says, and whoever has the rotator's login may write specs: only what was asked for runs.
    kinds = {"reencrypt", *(kind or ())}

    def tools_of(job: int) -> AbstractContextManager[Tools]:
        engine = new_engine(settings)
        try:
            found = JobStore(engine).get(job)
        finally:
            engine.dispose()
        if found.kind not in kinds:
            raise ConfigurationError(
                f"job {job} is of kind {found.kind}, which this worker does not take; if you have"
                f" started that job, start a worker with --kind {found.kind}"
            )
        return tools.of(found.target)()

    show_logs("procrastinate")
    print("waiting for jobs; stop with ctrl-C" if not until_done else "working", flush=True)
    with recorded(settings, "jobs worker"), plain_failures("work on jobs from the queue"):
        run_worker(settings, tools_of, concurrency=concurrency, until_done=until_done)


def _check_installed() -> None:
    try:
        import procrastinate  # noqa: F401
    except ImportError:
        raise ConfigurationError(_MISSING) from None
