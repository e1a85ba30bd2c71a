"""Re-encrypt the tables of a plan, one job each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from vaultdb.jobs.reencrypt.target import reencrypt_spec
from vaultdb.jobs.work.job import Job, JobResult, Progress
from vaultdb.jobs.work.runner import Opener, run_job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.store import JobStore

if TYPE_CHECKING:
    from vaultdb.jobs.rotation.plan import TablePlan
    from vaultdb.jobs.rotation.selection import Selection

KIND = "reencrypt"

Told = Callable[[Job, Progress], object]
"""Called four times a second with a job and how far it has come."""


def reencrypt(
    plan: TablePlan,
    selection: Selection,
    open_tools: Opener,
    *,
    workers: int,
    told: Told,
) -> JobResult:
    """Re-encrypt one table; joins the job that is open for it, finishes it, then does its own.

    Args:
        plan: the table.
        selection: whose values.
        open_tools: of the role that re-encrypts; also opens those of each process.
        workers: more than one work in processes of their own.
        told: about progress.

    Raises:
        KeyUnavailable: Vault or PostgreSQL was away for too long; run again to go on.

    """
    spec = reencrypt_spec(
        plan.table,
        columns=plan.columns if selection.columns else None,
        tenant=selection.tenant,
        keyset=selection.keyset,
    )
    with open_tools() as tools:
        store = JobStore(tools.engine)
        while True:
            job = store.start(
                KIND,
                plan.table.fullname,
                spec,
                split=lambda connection: split_table(connection, plan.table),
            )
            result = run_job(
                job.id,
                tools,
                workers=workers,
                progress=partial(told, job),
                opener=open_tools if workers > 1 else None,
            )
            if dict(job.spec) == spec or result.job.state.is_open:
                return result
