"""Telling live objects that they woke up in a child process."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    """Something with locks, threads, connections or a nonce prefix that a child must not share."""

    def reset_after_fork(self) -> None:
        """Replace locks and forget what is the parent's; called in the child, alone."""
        ...


_living: WeakSet[ForkAware] = WeakSet()


def reset_in_children(thing: ForkAware) -> None:
    """Call `thing.reset_after_fork()` in every child forked from now on, while it lives."""
    _living.add(thing)


def _reset_all() -> None:
    for thing in list(_living):
        thing.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
