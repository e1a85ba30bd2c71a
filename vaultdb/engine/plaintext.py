"""How often an engine has read plaintext where plaintext is still allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaultdb.orm.runtime import runtime_of

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine


def plaintext_reads(engine: Engine | AsyncEngine) -> dict[str, int]:
    """Return how many values were read from plaintext columns, since the engine was prepared.

    Args:
        engine: a prepared one.

    Returns:
        A number for each column with `plaintext="allow"` that was read, by logical name.

    Raises:
        NotPrepared: vaultdb knows nothing of the engine.

    """
    return runtime_of(engine.dialect).plaintext_reads.counts()
