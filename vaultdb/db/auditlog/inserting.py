"""The two statements that writers of the log may run: they can insert, and read nothing back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.types.numeric import Int8

from vaultdb.audit.chain import Record
from vaultdb.audit.opening import Opening
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.errors import AuditUnavailable

_CHAIN = shipped_sql("vaultdb.db.auditlog", "insert_chain")
_EVENTS = shipped_sql("vaultdb.db.auditlog", "insert_events")


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
        records: linked, not stored yet; at least one.

    Raises:
        AuditUnavailable: the server stored fewer: a trigger or a rule is in the way.
        psycopg.Error: the server refused them, or is gone.

    """
    cursor.execute(
        _EVENTS,
        {
            "chains": [record.chain for record in records],
            "seqs": [Int8(record.seq) for record in records],
            "ats": [record.at for record in records],
            "bodies": [record.body for record in records],
            "macs": [record.mac for record in records],
        },
    )
    _check_count(cursor, len(records))


def _check_count(cursor: Any, count: int) -> None:
    if cursor.rowcount != count:
        raise AuditUnavailable(
            f"cannot write the audit log: of {count} rows {max(cursor.rowcount, 0)} were stored;"
            " look for triggers and rules on it with: vaultdb roles verify"
        )
