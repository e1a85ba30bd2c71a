"""Giving back what Vault lent when the process ends, also in the workers of process pools."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import Any

_works: list[Callable[[], None]] = []
_followed_in: set[int] = set()


def at_exit(work: Callable[[], None]) -> Callable[[], None]:
    """Call `work` at the end of the process; what was given last comes first."""
    atexit.register(work)
    _works.append(work)
    return work


def follow_process_pools() -> None:
    """Do the same in a pool's worker, which leaves by `os._exit`; call it in the worker."""
    pid = os.getpid()
    if pid in _followed_in:
        return
    _followed_in.add(pid)
    # Only what is loaded already can have made this process.
    if (multiprocessing := sys.modules.get("multiprocessing.util")) is not None:
        multiprocessing.Finalize(None, _do_all, exitpriority=0)
    if (celery := sys.modules.get("celery.signals")) is not None:
        celery.worker_process_shutdown.connect(_do_all, weak=False)


def _do_all(**_of_the_signal: Any) -> None:
    for work in reversed(_works):
        work()
