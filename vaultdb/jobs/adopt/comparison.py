"""Comparing the old column with what the encrypted one decrypts to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from psycopg import sql

from vaultdb.jobs.adopt.encryption import ColumnKeys
from vaultdb.jobs.adopt.task import count_rows
from vaultdb.jobs.work.row_keys import column
from vaultdb.jobs.work.task import Span

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vaultdb.jobs.adopt.adoption import Adoption
    from vaultdb.jobs.adopt.reading import OldRows
    from vaultdb.jobs.work.task import Key
    from vaultdb.keys.keyring import Keyring

BATCH = 2_000
"""Rows that are read and decrypted at a time."""
SHOWN = 1_000
"""Rows that are remembered by key; the rest is counted."""


@dataclass(slots=True)
class Comparison:
    """What was found.

    Args:
        compared: rows that hold something in the old column.
        different: how many of them the encrypted column does not say the same of.
        keys: of the first of these, and in which way they differ.

    """

    compared: int = 0
    different: int = 0
    keys: list[tuple[Key, str]] = field(default_factory=list)


def compare(
    connection: Connection,
    adoption: Adoption,
    rows: OldRows,
    keyring: Keyring,
    *,
    sample: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Decrypt and compare all rows, or some at random; values are never shown.

    Args:
        connection: by a login with the rotator capability; not in a transaction.
        adoption: the column.
        rows: reads the old column.
        keyring: of a role that may decrypt.
        sample: how many rows, about; None for all.
        progress: told about every batch.

    Raises:
        KeyDenied, KeyUnavailable: a key cannot be had, which says nothing about the values.

    """
    keys = ColumnKeys(adoption, keyring)
    condition = sql.SQL("{} IS NOT NULL").format(column(adoption.plain))
    percent = None if sample is None else _percentage(connection, adoption, sample)
    found = Comparison()
    span: Span | None = Span()
    while span is not None:
        batch = rows.read(connection, condition, span, BATCH, sample=percent)
        connection.rollback()  # no snapshot is held while a billion rows are compared
        different = keys.compare(batch)
        found.compared += len(batch)
        found.different += len(different)
        left = SHOWN - len(found.keys)
        found.keys += [(row.key, reason) for row, reason in list(different.items())[:left]]
        if progress is not None:
            progress(len(batch))
        span = None if len(batch) < BATCH else Span(after=batch[-1].key)
    return found


def _percentage(connection: Connection, adoption: Adoption, sample: int) -> float:
    condition = sql.SQL("{} IS NOT NULL").format(column(adoption.plain))
    rows = count_rows(connection, adoption, condition)
    return min(100.0, 100.0 * sample / max(rows, 1))
