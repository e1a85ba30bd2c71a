"""The chunk function: what every worker runs, in this process, another one or on another machine.

A batch and its checkpoint are one transaction, so a worker may die at any point: what it had
committed counts, and the rest is done again by whoever takes the chunk over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from vaultdb.db.failures import plain_failures
from vaultdb.jobs.work.claims import LEASE, LeaseLost, claim, new_worker_name
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.registry import task_of
from vaultdb.jobs.work.store import JobStore
from vaultdb.jobs.work.task import Batch, ReadsAhead, Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from vaultdb.jobs.work.claims import Claim
    from vaultdb.jobs.work.task import Task, Tools


@dataclass(slots=True)
class ChunkResult:
    """What one call of `run_chunk` did.

    Args:
        state: how the job stands.
        number: the chunk's; None when there was none to take.
        finished: whether the chunk was worked through.
        seen, changed, conflicts, quarantined: of this call; see `Batch`.

    """

    state: JobState
    number: int | None = None
    finished: bool = False
    seen: int = 0
    changed: int = 0
    conflicts: int = 0
    quarantined: int = 0

    def add(self, batch: Batch, state: JobState) -> None:
        """Count a batch that is committed."""
        self.state = state
        self.finished = batch.last is None
        self.seen += batch.seen
        self.changed += batch.changed
        self.conflicts += batch.conflicts
        self.quarantined += len(batch.quarantined)


def run_chunk(
    job_id: int,
    tools: Tools,
    *,
    max_seconds: float | None = None,
    worker: str | None = None,
    lease: float = LEASE,
    stops: Callable[[], bool] = bool,
) -> ChunkResult:
    """Take a chunk of a job and work through it, or through a part of it.

    Args:
        job_id: the job's number; everything else is read from the database.
        tools: this worker's own.
        max_seconds: stop after the batch in which they pass, and leave the rest to others.
        worker: this worker's name, unique; it takes its own chunk up again after a failure.
        lease: seconds without a sign of life after which others take the chunk over.
        stops: asked after each batch whether to leave the rest to others.

    Returns:
        what was done; the chunk's number is None when no chunk was free.

    Raises:
        KeyUnavailable: Vault or PostgreSQL went away; call again to go on.
        KeyDenied: the role may not unwrap.
        ConfigurationError: no such job, or its table is no longer declared.

    """
    job = JobStore(tools.engine).get(job_id)
    result = ChunkResult(job.state)
    if job.state is not JobState.RUNNING:
        return result
    task = task_of(job, tools)
    with plain_failures("work on the job"), ExitStack() as opened:
        writes = opened.enter_context(tools.engine.connect())
        with writes.begin():
            held = claim(writes, job_id, worker or new_worker_name(), lease)
        if held is None:
            return result
        result.number = held.number
        stop_at = None if max_seconds is None else time.monotonic() + max_seconds
        reads = opened.enter_context(tools.engine.connect())
        with _released(writes, held, result):
            for batch, state in _batches(task, held, reads, writes, tools, stops):
                result.add(batch, state)
                late = stop_at is not None and time.monotonic() >= stop_at
                if state is not JobState.RUNNING or late or stops():
                    break
    return result


@contextmanager
def _released(writes: Connection, held: Claim, result: ChunkResult) -> Iterator[None]:
    """Give an unfinished chunk back, unless it is another's by now or the server is gone."""
    try:
        yield
    except LeaseLost:
        return
    finally:
        if not result.finished:
            with suppress(SQLAlchemyError), writes.begin():
                held.release(writes)


def _batches(  # noqa: PLR0917  # all of them are what a chunk consists of
    task: Task,
    held: Claim,
    reads: Connection,
    writes: Connection,
    tools: Tools,
    stops: Callable[[], bool],
) -> Iterator[tuple[Batch, JobState]]:
    """Work through what is left of the chunk, one committed batch after the other."""
    step = _Ahead(task, reads) if isinstance(task, ReadsAhead) else _Simple(task)
    span: Span | None = held.span
    while span is not None:
        if not _wait(tools, held, reads, writes, stops):
            return
        limit, started = tools.throttle.batch_size, time.monotonic()
        with writes.begin():
            batch = step(writes, span, limit)
            state = held.checkpoint(writes, batch)
        tools.throttle.after_batch(batch.seen, time.monotonic() - started)
        span = None if batch.last is None else Span(batch.last, span.upto)
        yield batch, state


def _wait(
    tools: Tools, held: Claim, reads: Connection, writes: Connection, stops: Callable[[], bool]
) -> bool:
    """Wait as long as the throttle says, and keep the lease; False when the job was stopped."""
    while True:
        with reads.begin():
            seconds = tools.throttle.before_batch(reads)
        if seconds <= 0:
            return True
        time.sleep(min(seconds, held.lease / 3))
        with writes.begin():
            if held.renew(writes) is not JobState.RUNNING or stops():
                return False


class _Simple:
    """A task that does all of a batch in one go."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __call__(self, writes: Connection, span: Span, limit: int) -> Batch:
        return self._task.batch(writes, span, limit)


class _Ahead:
    """A task whose next batch is read and computed while the server stores this one."""

    def __init__(self, task: ReadsAhead, reads: Connection) -> None:
        self._task = task
        self._reads = reads
        self._next: Any = None

    def __call__(self, writes: Connection, span: Span, limit: int) -> Batch:
        prepared = self._next if self._next is not None else self._prepare(span, limit)
        self._next = None
        stored: Callable[[], Batch] = self._task.send(writes, prepared)
        try:
            # What cannot be read ahead now is read by the next call, which fails as it should.
            with suppress(Exception):
                if prepared.last is not None:
                    self._next = self._prepare(Span(prepared.last, span.upto), limit)
        finally:
            batch = stored()  # the answer must be fetched before anything else is sent
        return batch

    def _prepare(self, span: Span, limit: int) -> Any:
        with self._reads.begin():
            return self._task.prepare(self._reads, span, limit)
