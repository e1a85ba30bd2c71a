"""The queue: one procrastinate job for each chunk that is to be worked on.

A procrastinate job says only which job of ours it belongs to; the worker takes whichever chunk is
free. So it does not matter if one is lost, comes twice, or its worker dies: the chunk's own lease
in `vaultdb.job_chunk` says who works on it, and every batch is stored with its checkpoint.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from procrastinate import App, JobContext, RetryStrategy

from vaultdb.errors import KeyUnavailable, VaultUnavailable
from vaultdb.jobs.work.chunk import run_chunk
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.passes import Settled, settle
from vaultdb.jobs.work.store import JobStore
from vaultdb.jobs.work.worker import TICK

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
        following = await asyncio.to_thread(_step, job, tools_of, context.should_abort)
        if following.count:
            await send(app, job, following.count, later=following.later)

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
    return max(1, _unfinished(store, job))


@dataclass(frozen=True, slots=True)
class _Following:
    """The procrastinate jobs that must follow one.

    Args:
        count: how many.
        later: seconds before they may start.

    """

    count: int = 0
    later: int = 0


def _step(job: int, tools_of: OpenTools, stops: Callable[[], bool]) -> _Following:
    """Work on one chunk; return what must follow.

    There are as many procrastinate jobs as chunks that are not finished. One that finds no chunk
    comes again: a worker may count as dead before the lease of its chunk ends.
    """
    with tools_of(job) as tools:
        result = run_chunk(job, tools, stops=stops)
        if result.state is not JobState.RUNNING:
            return _Following()
        if result.number is not None and not result.finished:
            return _Following(1)
        store = JobStore(tools.engine)
        settled = settle(job, tools)
        # All are finished and another worker looks what is left: it may have looked too early.
        while _is_open(settled) and not _unfinished(store, job) and not stops():
            time.sleep(TICK)
            settled = settle(job, tools)
        if settled.state is not JobState.RUNNING:
            return _Following()
        if settled.remaining is None:
            ended = result.finished and _unfinished(store, job)
            return _Following() if ended else _Following(1, AGAIN)
        return _Following(unfinished(store, job), AGAIN)


def _is_open(settled: Settled) -> bool:
    return settled.state is JobState.RUNNING and settled.remaining is None


def _unfinished(store: JobStore, job: int) -> int:
    progress = store.progress(job)
    return progress.chunks - progress.finished_chunks
