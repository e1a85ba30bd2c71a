"""A job as it is stored: what to do, on which table, and how it stands. Names and numbers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """How a job stands; `cancelled` and `finished` are for good."""

    RUNNING = "running"
    """Workers take its chunks, if there are workers."""
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"

    @property
    def is_open(self) -> bool:
        """Whether there may be work left."""
        return self in {JobState.RUNNING, JobState.PAUSED}


@dataclass(frozen=True, slots=True)
class Job:
    """One row of `vaultdb.job`.

    Args:
        id: its number.
        kind: which task, as registered.
        target: what it works on, such as `app.patient`; there is one open job per kind and target.
        spec: what the task is told, never a key or a value.
        state: running, paused, cancelled or finished.
        passes: how often all chunks have been gone through before the current pass.
        estimated_rows: of the table when the job was started.
        created_by: the session's login.
        created_at: when it was started.
        changed_at: when its state changed last.

    """

    id: int
    kind: str
    target: str
    spec: Mapping[str, Any]
    state: JobState
    passes: int
    estimated_rows: int
    created_by: str
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come.

    Args:
        done: rows of the estimate that lie behind the workers in this pass.
        estimated: rows of the table, as estimated when the job was started.
        changed: rows changed, in all passes.
        conflicts: rows that somebody else had locked or changed, in all passes.
        quarantined: values that no pass could deal with.
        chunks: of the job.
        finished_chunks: of this pass.
        workers: that hold a lease now.
        rate: rows per second of this pass, of all workers together; 0.0 while it is not known.
        eta: seconds until this pass ends at this rate; None while it is not known.

    """

    done: int
    estimated: int
    changed: int
    conflicts: int
    quarantined: int
    chunks: int
    finished_chunks: int
    workers: int
    rate: float
    eta: float | None


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of a job after `run_job`.

    Args:
        job: as it is now.
        changed: rows changed in all passes.
        conflicts: rows met that somebody else had locked or changed.
        quarantined: values left as they are.
        remaining: rows that still need work: 0, or the quarantined ones, when it finished; None
            when it was paused or cancelled and nobody counted.

    """

    job: Job
    changed: int
    conflicts: int
    quarantined: int
    remaining: int | None
