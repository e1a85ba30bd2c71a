"""Which task a kind of job runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from vaultdb.jobs.work.job import Job
    from vaultdb.jobs.work.task import Task, TaskFactory, Tools

BUILT_IN = {
    "reencrypt": ("vaultdb.jobs.reencrypt.task", "reencrypt_task"),
    "rebind": ("vaultdb.jobs.rotation.rebinding", "rebind_task"),
    "adopt-backfill": ("vaultdb.jobs.adopt.backfill", "backfill_task"),
    "adopt-null": ("vaultdb.jobs.adopt.emptying", "emptying_task"),
}
"""Module and name of the factory by kind; imported when the first job of the kind runs, in each
worker."""

_registered: dict[str, TaskFactory] = {}


def register_task(kind: str, factory: TaskFactory) -> None:
    """Let jobs of a kind run this task, in this process.

    Args:
        kind: stored with each job; workers in other processes must register the same.
        factory: makes the task of a job, with the worker's own tools.

    """
    _registered[kind] = factory


def task_of(job: Job, tools: Tools) -> Task:
    """Make the task of a job.

    Raises:
        ConfigurationError: nobody has registered its kind.

    """
    factory = _registered.get(job.kind)
    if factory is None:
        if job.kind not in BUILT_IN:
            raise ConfigurationError(
                f"job {job.id} is of kind {job.kind!r}, which this worker does not know: run it "
                "with the version of vaultdb that started it"
            )
        module, name = BUILT_IN[job.kind]
        factory = getattr(import_module(module), name)
    return factory(job, tools)
