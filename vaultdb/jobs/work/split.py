"""How a table is cut into chunks."""

from __future__ import annotations

from dataclasses import dataclass

from vaultdb.jobs.work.task import Span


@dataclass(frozen=True, slots=True)
class Split:
    """Spans that together cover a table, also rows that are added later.

    Args:
        spans: in the key's order, without gaps; the first and the last are open.
        estimated_rows: of the whole table.

    """

    spans: tuple[Span, ...]
    estimated_rows: int = 0
