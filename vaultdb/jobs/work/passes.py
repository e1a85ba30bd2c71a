"""The end of a pass: either nothing is left, or all chunks are gone through once more.

Rows that were locked or changed by somebody while a pass came by, and rows that were added or moved
behind it, are found by the next pass, which is quick: rows that are done are not even read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from vaultdb.db.failures import plain_failures
from vaultdb.db.schema import job_chunk_table as chunks
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.registry import task_of
from vaultdb.jobs.work.store import (
    JobStore,
    finish,
    next_pass,
    quarantined_rows,
    unfinished_chunks,
)

if TYPE_CHECKING:
    from vaultdb.jobs.work.task import Tools

_HOLD = text(shipped_sql("vaultdb.jobs.work", "hold_pass"))


@dataclass(frozen=True, slots=True)
class Settled:
    """What was found at the end of a pass.

    Args:
        state: how the job stands now.
        remaining: rows that still need work; None when the pass is not over, or somebody else
            looks.
        changed: rows changed in all passes.

    """

    state: JobState
    remaining: int | None = None
    changed: int = 0


def settle(job_id: int, tools: Tools) -> Settled:
    """Finish a job of which nothing is left but what is quarantined, or begin the next pass.

    Call it when `run_chunk` had no chunk to take. It changes nothing while chunks are unfinished.

    Raises:
        KeyUnavailable: PostgreSQL went away.

    """
    job = JobStore(tools.engine).get(job_id)
    if job.state is not JobState.RUNNING:
        return Settled(job.state)
    task = task_of(job, tools)
    with plain_failures("look what is left of the job"), tools.engine.begin() as connection:
        if not connection.scalar(_HOLD, {"job": job_id}) or unfinished_chunks(connection, job_id):
            return Settled(job.state)
        remaining = task.remaining(connection)
        total = select(func.sum(chunks.c.changed)).where(chunks.c.job == job_id)
        changed = int(connection.scalar(total) or 0)
        if remaining <= quarantined_rows(connection, job_id):
            finish(connection, job_id)
            return Settled(JobState.FINISHED, remaining, changed)
        next_pass(connection, job_id)
        return Settled(job.state, remaining, changed)
