"""Giving back what Vault lent when the process ends, also in the children of process pools."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable

_POOLS = ("multiprocessing.util", "billiard.util")
"""Their children leave by `os._exit`, past `atexit`; billiard is Celery's."""

_works: list[Callable[[], None]] = []
_followed_by: set[int] = set()


def at_exit(work: Callable[[], None]) -> Callable[[], None]:
    """Call `work` at the end of the process; what was given last comes first."""
    atexit.register(work)
    _works.append(work)
    return work


def follow_process_pools() -> None:
    """Have the child of a process pool do what `at_exit` was given; call it in the child."""
    pid = os.getpid()
    if pid in _followed_by:
        return
    _followed_by.add(pid)
    for name in _POOLS:
        pool = sys.modules.get(name)
        if pool is not None:
            pool.Finalize(None, _do_all, exitpriority=0)


def _do_all() -> None:
    for work in reversed(_works):
        work()
