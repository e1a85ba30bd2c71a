"""The two statements that writers of the log may run: they can insert, and read nothing back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from psycopg.types.numeric import Int8

from vaultdb.audit.chain import Record
from vaultdb.audit.opening import Opening
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.errors import AuditUnavailable

MOST = 10_000
"""Records that one statement can write: PostgreSQL takes 65,535 parameters, five for each."""

_TEXTS = 16
_CHAIN = shipped_sql("vaultdb.db.auditlog", "insert_chain")
_EVENT = shipped_sql("vaultdb.db.auditlog", "insert_event").rstrip()
_ROW = _EVENT[_EVENT.rindex("(") :]


def insert_chain(cursor: Any, opening: Opening) -> None:
    """Store how a chain begins, in the transaction of the cursor.

    Args:
        cursor: psycopg's, or SQLAlchemy's adapter for asyncio.
        opening: not stored yet.

    Raises:
        AuditUnavailable: the server stored nothing.
        psycopg.Error: the server refused it, or is gone.

    """
    cursor.execute(_CHAIN, {"chain": opening.id, "opening": opening.text()})
    _check_count(cursor, 1)


def insert_events(cursor: Any, records: Sequence[Record]) -> None:
    """Store records of any chains by one statement, in the transaction of the cursor.

    Args:
        cursor: as for `insert_chain`.
        records: linked, not stored yet; at least one, and more than `MOST` only in a transaction.

    Raises:
        AuditUnavailable: the server stored fewer: a trigger or a rule is in the way.
        psycopg.Error: the server refused them, or is gone.

    """
    for start in range(0, len(records), MOST):
        _insert(cursor, records[start : start + MOST])


def _insert(cursor: Any, records: Sequence[Record]) -> None:
    parameters: list[object] = []
    for record in records:
        parameters += (record.chain, Int8(record.seq), record.at, record.body, record.mac)
    # Arrays would need one text for all sizes, but take psycopg three times as long.
    cursor.execute(_events(len(records)), parameters)
    _check_count(cursor, len(records))


@lru_cache(maxsize=_TEXTS)
def _events(count: int) -> str:
    return ", ".join([_EVENT, *[_ROW] * (count - 1)])


def _check_count(cursor: Any, count: int) -> None:
    if cursor.rowcount != count:
        raise AuditUnavailable(
            f"cannot write the audit log: of {count} rows {max(cursor.rowcount, 0)} were stored;"
            " look for triggers and rules on it with: vaultdb roles verify"
        )
