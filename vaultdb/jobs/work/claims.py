"""A worker's hold on one chunk: a lease, and a checkpoint that only its holder can write."""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.errors import VaultDBError
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.store import put_into_quarantine
from vaultdb.jobs.work.task import Batch, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from vaultdb.jobs.work.task import Key

LEASE = 30.0
"""Seconds after its last batch in which a dead worker's chunk is not taken over."""

_CLAIM = text(shipped_sql("vaultdb.jobs.work", "claim_chunk"))
_CHECKPOINT = text(shipped_sql("vaultdb.jobs.work", "checkpoint"))
_RELEASE = text(shipped_sql("vaultdb.jobs.work", "release_chunk"))


_NOTHING = Batch(last=())
"""A checkpoint of it leaves the position as it is."""


class LeaseLost(VaultDBError):
    """Another worker has taken the chunk over; this one's last batch was rolled back."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk that this worker may work on.

    Args:
        job: the job's number.
        number: the chunk's.
        worker: this worker's own name.
        span: what is left of the chunk.
        lease: seconds.

    """

    job: int
    number: int
    worker: str
    span: Span
    lease: float

    def checkpoint(self, connection: Connection, batch: Batch) -> JobState:
        """Store how far the chunk has come; returns how the job stands.

        Args:
            connection: in the transaction that changed the rows.
            batch: what became of them.

        Raises:
            LeaseLost: roll everything back.

        """
        values = {
            "job": self.job,
            "number": self.number,
            "worker": self.worker,
            "lease": self.lease,
            "position": json.dumps(batch.last) if batch.last else None,
            "seen": batch.seen,
            "changed": batch.changed,
            "conflicts": batch.conflicts,
            "quarantined": len(batch.quarantined),
            "finished": batch.last is None,
        }
        state = connection.execute(_CHECKPOINT, values).scalar()
        if state is None:
            raise LeaseLost(f"another worker took chunk {self.number} of job {self.job} over")
        put_into_quarantine(connection, self.job, batch.quarantined)
        return JobState(state)

    def renew(self, connection: Connection) -> JobState:
        """Hold the chunk for another lease without having done anything."""
        return self.checkpoint(connection, _NOTHING)

    def release(self, connection: Connection) -> None:
        """Let others have the chunk at once."""
        values = {"job": self.job, "number": self.number, "worker": self.worker}
        connection.execute(_RELEASE, values)


def claim(connection: Connection, job_id: int, worker: str, lease: float) -> Claim | None:
    """Take a chunk that nobody works on; None when there is none, or the job does not run."""
    values = {"job": job_id, "worker": worker, "lease": lease}
    row = connection.execute(_CLAIM, values).one_or_none()
    if row is None:
        return None
    span = Span(_key(row.position) or _key(row.lower), _key(row.upper))
    return Claim(job_id, row.number, worker, span, lease)


def new_worker_name() -> str:
    """Return a name that no other worker has, and that says where to look for it."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _key(stored: Sequence[str] | None) -> Key | None:
    return tuple(stored) if stored else None
