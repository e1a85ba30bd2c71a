"""A worker: takes chunks and ends passes until the job is over or nothing more can be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaultdb.errors import KeyUnavailable, VaultUnavailable
from vaultdb.jobs.work.chunk import run_chunk
from vaultdb.jobs.work.claims import LEASE, new_worker_name
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.passes import settle
from vaultdb.logs import JOBS

if TYPE_CHECKING:
    from vaultdb.jobs.work.task import Tools

TICK = 0.2
"""Seconds between two looks for a chunk while others work."""
LONGEST_WAIT = 5.0
"""Seconds between two tries when something is out of order."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a worker puts up with what is in its way.

    Args:
        outage: seconds for which Vault or PostgreSQL may be away.
        fruitless_passes: passes in a row that change nothing although rows are left, because
            somebody keeps them locked; the job stays as it is and can be run again.
        lease: seconds without a sign of life after which others take a worker's chunk over.

    """

    outage: float = 300.0
    fruitless_passes: int = 8
    lease: float = LEASE


def work(
    job_id: int,
    tools: Tools,
    *,
    patience: Patience | None = None,
    stops: Callable[[], bool] = bool,
) -> None:
    """Work on a job until it is over, it is paused, or `stops` says so.

    Args:
        job_id: the job's number.
        tools: this worker's own.
        patience: with outages, locked rows and dead workers.
        stops: asked after each batch.

    Raises:
        KeyUnavailable: Vault or PostgreSQL was away for longer than the patience.
        VaultDBError: anything else that another try does not mend.

    """
    _Worker(job_id, tools, patience or Patience(), stops).run()


class _Worker:
    def __init__(
        self, job_id: int, tools: Tools, patience: Patience, stops: Callable[[], bool]
    ) -> None:
        self._job = job_id
        self._tools = tools
        self._patience = patience
        self._stops = stops
        self._name = new_worker_name()
        self._well_at = time.monotonic()
        self._failures = 0
        self._fruitless = 0
        self._changed = -1

    def run(self) -> None:
        while not self._stops():
            try:
                goes_on = self._step()
            except (KeyUnavailable, VaultUnavailable) as error:
                self._put_up_with(error)
                continue
            self._well_at, self._failures = time.monotonic(), 0
            if not goes_on:
                return

    def _step(self) -> bool:
        result = run_chunk(
            self._job, self._tools, worker=self._name, lease=self._patience.lease, stops=self._stops
        )
        if result.state is not JobState.RUNNING:
            return False
        return True if result.number is not None else self._settle()

    def _settle(self) -> bool:
        settled = settle(self._job, self._tools)
        if settled.state is not JobState.RUNNING:
            return False
        if settled.remaining is None:
            self._sleep(TICK)
            return True
        self._fruitless = self._fruitless + 1 if settled.changed == self._changed else 0
        self._changed = settled.changed
        if self._fruitless:
            self._sleep(min(TICK * 2**self._fruitless, LONGEST_WAIT))
        return self._fruitless < self._patience.fruitless_passes

    def _put_up_with(self, error: Exception) -> None:
        if time.monotonic() - self._well_at > self._patience.outage:
            raise error
        JOBS.warning("job %d waits: %s", self._job, error)
        self._failures += 1
        self._sleep(min(TICK * 2**self._failures, LONGEST_WAIT))

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stops() and (left := end - time.monotonic()) > 0:
            time.sleep(min(TICK, left))
