"""The local pool: workers in threads, or in processes that open everything for themselves.

Threads share the caller's keyring and connections. Processes use more processors than one, because
half of the work of a worker is Python; each has its own Vault login.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from vaultdb.db.failures import plain_failures
from vaultdb.errors import KeyUnavailable, VaultDBError
from vaultdb.jobs.work.job import JobResult, JobState, Progress
from vaultdb.jobs.work.registry import task_of
from vaultdb.jobs.work.store import JobStore
from vaultdb.jobs.work.task import Tools
from vaultdb.jobs.work.worker import Patience, work
from vaultdb.logs import JOBS

if TYPE_CHECKING:
    from ctypes import c_byte
    from multiprocessing.connection import Connection as Pipe
    from multiprocessing.context import SpawnProcess

Opener = Callable[[], AbstractContextManager[Tools]]
"""Opens a worker's tools in its own process; can be pickled, and holds no key."""

LOOK = 0.25
"""Seconds between two reports of progress."""
RESTARTS = 10
"""Workers that are started in place of those that were killed, before the pool gives up."""


def run_job(
    job_id: int,
    tools: Tools,
    *,
    workers: int = 1,
    progress: Callable[[Progress], object] | None = None,
    opener: Opener | None = None,
    patience: Patience | None = None,
) -> JobResult:
    """Work on a job, pass after pass, until only quarantined rows are left or somebody stops it.

    Run it again to go on after a failure; run it on several machines at once to be faster.

    Args:
        job_id: the job's number.
        tools: the caller's own; its engine gives each thread two connections.
        workers: how many at once.
        progress: told four times a second how far the job has come.
        opener: start processes instead of threads, each of which opens its own tools with it.
        patience: with outages, locked rows and dead workers.

    Raises:
        KeyUnavailable: Vault or PostgreSQL was away for longer than the patience.
        VaultDBError: what stopped a worker and would stop it again.

    """
    store = JobStore(tools.engine)

    def tell() -> None:
        if progress is None:
            return
        try:
            now = store.progress(job_id)
        except KeyUnavailable:  # the workers put up with it, or say so themselves
            return
        progress(now)

    patience = patience or Patience()
    if opener is None:
        _in_threads(job_id, tools, workers, tell, patience)
    else:
        _Processes(job_id, opener, patience).run(workers, tell)
    tell()
    return _result(job_id, tools, store)


def _result(job_id: int, tools: Tools, store: JobStore) -> JobResult:
    job, counts = store.get(job_id), store.progress(job_id)
    remaining: int | None = None
    if job.state in {JobState.FINISHED, JobState.RUNNING}:
        with plain_failures("count what is left"), tools.engine.connect() as connection:
            remaining = task_of(job, tools).remaining(connection)
    return JobResult(job, counts.changed, counts.conflicts, counts.quarantined, remaining)


def _in_threads(
    job_id: int, tools: Tools, workers: int, tell: Callable[[], object], patience: Patience
) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(workers, thread_name_prefix="vaultdb-job") as pool:
        running = [
            pool.submit(work, job_id, tools, patience=patience, stops=stop.is_set)
            for _ in range(workers)
        ]
        try:
            while (state := wait(running, LOOK, FIRST_EXCEPTION)).not_done:
                if any(future.exception() is not None for future in state.done):
                    break
                tell()
        finally:
            stop.set()  # after the first failure, and after ctrl-C
    for future in running:
        future.result()


class _Processes:
    """Workers in processes of their own; one that is killed is replaced."""

    def __init__(self, job_id: int, opener: Opener, patience: Patience) -> None:
        self._context = multiprocessing.get_context("spawn")
        # Not an event: a worker that is killed while it looks at one leaves it locked for all.
        self._stop = self._context.RawValue("b", 0)
        self._arguments = (job_id, opener, patience, self._stop)
        self._running: dict[SpawnProcess, Pipe] = {}
        self._error: VaultDBError | None = None
        self._restarts = 0

    def run(self, workers: int, tell: Callable[[], object]) -> None:
        try:
            for _ in range(workers):
                self._start()
            while self._running:
                self._wait()
                tell()
        finally:
            self._stop.value = 1
            for process, pipe in self._running.items():
                while process.is_alive():
                    self._hear(pipe)  # or a child that has much to say would wait for ever
                    process.join(LOOK)
        if self._error is not None:
            raise self._error

    def _start(self) -> None:
        mine, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_process, args=(*self._arguments, theirs))
        process.start()
        theirs.close()
        self._running[process] = mine

    def _wait(self) -> None:
        time.sleep(LOOK)
        for process, pipe in list(self._running.items()):
            is_over = not process.is_alive()  # before what it said last is read
            self._hear(pipe)
            if is_over:
                process.join()
                pipe.close()
                del self._running[process]
                if process.exitcode and self._error is None:
                    self._replace(process)

    def _hear(self, pipe: Pipe) -> None:
        """Log what a worker logs, and remember the error that it ended with."""
        try:
            while pipe.poll():
                said = pipe.recv()
                if isinstance(said, VaultDBError):
                    self._error = said
                    self._stop.value = 1
                else:
                    name, level, text = said
                    logging.getLogger(name).log(level, "%s", text)
        except (EOFError, OSError):
            return  # it has ended, perhaps in the middle of a word

    def _replace(self, process: SpawnProcess) -> None:
        if self._restarts < RESTARTS and not self._stop.value:
            self._restarts += 1
            JOBS.warning("worker %s ended with %s; starting another", process.pid, process.exitcode)
            self._start()
        elif self._error is None and not self._running:
            self._error = VaultDBError(
                f"the last worker ended with {process.exitcode}; run the job again to go on"
            )


class _Told(logging.Handler):
    """Sends what a worker logs to the process that started it."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__(logging.WARNING)
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # the parent is gone
            self._pipe.send((record.name, record.levelno, record.getMessage()))


def _process(job_id: int, opener: Opener, patience: Patience, stop: c_byte, pipe: Pipe) -> None:
    """Work in a process of its own; ctrl-C is the parent's, which lets the batch be finished."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = _Told(pipe)
    logging.getLogger("vaultdb").addHandler(told)
    try:
        with opener() as tools:
            work(job_id, tools, patience=patience, stops=lambda: bool(stop.value))
    except VaultDBError as error:
        with told.lock or contextlib.nullcontext():
            pipe.send(error)
    finally:
        logging.getLogger("vaultdb").removeHandler(told)
        pipe.close()
