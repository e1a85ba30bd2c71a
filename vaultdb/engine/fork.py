"""A pool of its own for each forked child: two processes on one connection break both."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from vaultdb.after_fork import reset_in_children

if TYPE_CHECKING:
    from sqlalchemy import Engine

_ATTRIBUTE = "_vaultdb_pool_reset"


class PoolReset:
    """Gives an engine an empty pool in a child, and leaves the parent's connections open.

    Not by `Engine.dispose`: that would also close the keyring, whose DEKs a child may keep.

    Args:
        engine: held weakly.

    """

    def __init__(self, engine: Engine) -> None:
        self._engine = ref(engine)

    def reset_after_fork(self) -> None:
        """Replace the pool; what is checked out stays with whoever holds it."""
        engine = self._engine()
        if engine is not None:
            engine.pool = engine.pool.recreate()


def separate_in_children(engine: Engine) -> None:
    """Have every child that is forked from now on open connections of its own."""
    reset = PoolReset(engine)
    setattr(engine.dialect, _ATTRIBUTE, reset)  # lives as long as the engine
    reset_in_children(reset)
