"""Running a job over one adoption, here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.task import spec_of
from vaultdb.jobs.work.runner import run_job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.store import JobStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vaultdb.jobs.adopt.adoption import Adoption, Foreign
    from vaultdb.jobs.work.job import JobResult, Progress
    from vaultdb.jobs.work.runner import Opener
    from vaultdb.jobs.work.task import Quarantined, Tools

SHOWN = 1_000
"""Quarantined rows that are read back; the rest is counted."""


def run_adoption(
    tools: Tools,
    kind: str,
    adoption: Adoption,
    foreign: Foreign | None,
    *,
    tenant: str,
    workers: int = 1,
    progress: Callable[[Progress], None] | None = None,
    opener: Opener | None = None,
) -> tuple[JobResult, Sequence[Quarantined]]:
    """Start a job, or join the open one, and work on it until only quarantined rows are left.

    Args:
        tools: of the role that re-encrypts.
        kind: backfill or emptying.
        adoption: the column.
        foreign: what the old column is encrypted with; None for plaintext.
        tenant: of rows that do not say whose they are.
        workers: how many at once.
        progress: told four times a second.
        opener: start processes instead of threads, each of which opens its own tools with it.

    Raises:
        ConfigurationError: an open job of this kind has other options.
        KeyringError: a key cannot be had; run again to go on.

    """
    store = JobStore(tools.engine)
    spec = spec_of(adoption, foreign, tenant)
    job = store.start(
        kind,
        adoption.target,
        spec,
        split=lambda connection: split_table(connection, adoption.table),
    )
    if job.spec != spec:
        raise ConfigurationError(
            f"job {job.id} on {adoption.target} is open and has other options: run it with those,"
            " or cancel it"
        )
    result = run_job(job.id, tools, workers=workers, progress=progress, opener=opener)
    return result, store.quarantined(job.id, SHOWN)
