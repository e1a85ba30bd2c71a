"""A worker of the queue: takes chunks until it is told to stop, and takes over from the dead."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

from vaultdb.db.login.credentials import Credentials
from vaultdb.jobs.distributed.connector import connector_for
from vaultdb.jobs.distributed.queue import QUEUE, OpenTools, queue
from vaultdb.logs import JOBS

if TYPE_CHECKING:
    from procrastinate import App

    from vaultdb.jobs.work.task import Tools
    from vaultdb.settings import Settings

LOOK: Final = 15.0
"""Seconds between two looks for jobs of workers that died."""
DEAD: Final = 30.0
"""Seconds without a sign of life after which a worker is dead; a living one gives one in ten."""

GRACE: Final = 0.5
"""Seconds after a signal until chunks are told to stop; each then finishes its batch."""


class KeptTools:
    """The tools of each job that a worker has met, opened once and closed with the worker.

    Args:
        open_: opens the tools of a job.

    """

    def __init__(self, open_: OpenTools) -> None:
        self._open = open_
        self._kept: dict[int, Tools] = {}
        self._opened = ExitStack()
        self._lock = Lock()

    @contextmanager
    def __call__(self, job: int) -> Iterator[Tools]:
        """Give the tools of a job; they stay open."""
        with self._lock:
            if job not in self._kept:
                opened: AbstractContextManager[Tools] = self._open(job)
                self._kept[job] = self._opened.enter_context(opened)
        yield self._kept[job]

    def close(self) -> None:
        """Close all of them."""
        self._opened.close()


def run_worker(
    settings: Settings, tools_of: OpenTools, *, concurrency: int = 1, until_done: bool = False
) -> None:
    """Work on chunks from the queue until SIGINT or SIGTERM, which lets a batch be finished.

    Args:
        settings: of the database login that works on jobs.
        tools_of: opens what a job needs: its own Vault login, its own connections.
        concurrency: chunks at once, in threads.
        until_done: stop when the queue is empty.

    """
    with closing(Credentials(settings)) as credentials, closing(KeptTools(tools_of)) as tools:
        app = queue(connector_for(settings, credentials), tools)
        asyncio.run(_run(app, concurrency, until_done=until_done))


async def _run(app: App, concurrency: int, *, until_done: bool) -> None:
    async with app.open_async():
        watching = asyncio.create_task(_take_over(app))
        try:
            await app.run_worker_async(
                queues=[QUEUE],
                name="vaultdb",
                concurrency=concurrency,
                wait=not until_done,
                shutdown_graceful_timeout=GRACE,
                delete_jobs="successful",
            )
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def _take_over(app: App) -> None:
    """Give jobs of workers that died back to the queue, again and again."""
    while True:
        for job in await app.job_manager.get_stalled_jobs(
            queue=QUEUE, seconds_since_heartbeat=DEAD
        ):
            JOBS.warning("a worker died over job %s of the queue; it is taken over", job.id)
            await app.job_manager.retry_job(job)
        await asyncio.sleep(LOOK)
