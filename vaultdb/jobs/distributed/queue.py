"""The queue: one procrastinate job for each chunk that is to be worked on.

A procrastinate job says only which job of ours it belongs to; the worker takes whichever chunk is
free. So it does not matter if one is lost, comes twice, or its worker dies: the chunk's own lease
in `vaultdb.job_chunk` says who works on it, and every batch is stored with its checkpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from procrastinate import App, JobContext, RetryStrategy

from vaultdb.errors import KeyUnavailable, VaultUnavailable
from vaultdb.jobs.work.chunk import run_chunk
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.passes import settle
from vaultdb.jobs.work.store import JobStore

if TYPE_CHECKING:
    from procrastinate.connector import BaseConnector
    from procrastinate.types import JSONValue

    from vaultdb.jobs.work.task import Tools

QUEUE: Final = "vaultdb"
TASK: Final = "vaultdb.chunk"
AGAIN: Final = 5
"""Seconds until the next pass when rows were locked or are still written under an old key."""

_PASSING: Final[Any] = (KeyUnavailable, VaultUnavailable, asyncio.CancelledError)
_RETRIES: Final = RetryStrategy(wait=AGAIN, retry_exceptions=_PASSING)
"""An outage passes; a worker that is told to stop leaves the rest to others. All else is told."""

OpenTools = Callable[[int], AbstractContextManager["Tools"]]
"""Opens a worker's tools for a job; its own Vault login, kept by the worker."""


def queue(connector: BaseConnector, tools_of: OpenTools | None = None) -> App:
    """Return procrastinate's app with the one task there is.

    Args:
        connector: to the database.
        tools_of: opens what a worker needs; None for those who only send.

    """
    app = App(connector=connector)

    @app.task(name=TASK, queue=QUEUE, pass_context=True, retry=_RETRIES)
    async def chunk(context: JobContext, job: int) -> None:  # pyright: ignore[reportUnusedFunction]
        assert tools_of is not None, "this process only sends"
        more = await asyncio.to_thread(_step, job, tools_of, context.should_abort)
        if more:
            await send(app, job, more, later=AGAIN if more > 1 else 0)

    return app


async def send(app: App, job: int, count: int, *, later: int = 0) -> None:
    """Put procrastinate jobs into the queue.

    Args:
        app: from `queue`.
        job: the number of the vaultdb job.
        count: how many: one for each chunk.
        later: seconds before they may start.

    """
    schedule = {"schedule_in": {"seconds": later}} if later else {}
    task = app.configure_task(TASK, queue=QUEUE, **schedule)  # type: ignore[arg-type]
    arguments: dict[str, JSONValue] = {"job": job}
    await task.batch_defer_async(*[arguments] * count)


def unfinished(store: JobStore, job: int) -> int:
    """Return how many chunks of a job are to be sent; at least one, which ends the pass."""
    progress = store.progress(job)
    return max(1, progress.chunks - progress.finished_chunks)


def _step(job: int, tools_of: OpenTools, stops: Callable[[], bool]) -> int:
    """Work on one chunk; return how many procrastinate jobs must follow."""
    with tools_of(job) as tools:
        result = run_chunk(job, tools, stops=stops)
        if result.state is not JobState.RUNNING:
            return 0
        if result.number is not None and not result.finished:
            return 1
        settled = settle(job, tools)
        if settled.state is not JobState.RUNNING or settled.remaining is None:
            return 0
        return max(2, unfinished(JobStore(tools.engine), job))
