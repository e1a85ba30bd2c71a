"""The job that empties the old column, of rows whose ciphertext decrypts to the same value.

It compares once more, with the row locked: this is the last time that anybody can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from vaultdb.jobs.adopt.encryption import ColumnKeys
from vaultdb.jobs.adopt.reading import driver_of
from vaultdb.jobs.adopt.task import AdoptionTask, adoption_task
from vaultdb.jobs.work.row_keys import column
from vaultdb.jobs.work.task import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from vaultdb.jobs.adopt.reading import OldRow
    from vaultdb.jobs.work.job import Job
    from vaultdb.jobs.work.task import Span, Tools

KIND = "adopt-null"


class Emptying(AdoptionTask):
    """Sets the old column to NULL where it is not needed any more."""

    @property
    def condition(self) -> sql.Composable:
        """Say which rows need work."""
        return sql.SQL("{} IS NOT NULL").format(column(self.adoption.plain))

    def batch(self, connection: Connection, span: Span, limit: int) -> Batch:
        """Compare and empty the next rows of a span."""
        rows = self.rows.read(connection, self.condition, span, limit, lock=True)
        different = ColumnKeys(self.adoption, self.keyring).compare(rows)
        changed = self._empty(connection, [row for row in rows if row not in different])
        return Batch(
            last=rows[-1].key if len(rows) == limit else None,
            seen=len(rows),
            changed=changed,
            conflicts=len(rows) - len(different) - changed,
            quarantined=self.quarantined(different),
        )

    def _empty(self, connection: Connection, rows: Sequence[OldRow]) -> int:
        if not rows:
            return 0
        driver = driver_of(connection)
        statement = sql.SQL(
            "UPDATE {table} AS t SET {plain} = NULL FROM unnest({keys}) AS v ({key_names})"
            " WHERE {same_key} AND {encrypted} IS NOT NULL"
        ).format(
            table=self.adoption.keys.table,
            plain=sql.Identifier(self.adoption.plain),
            encrypted=column(self.adoption.encrypted),
            **self.key_match(driver),
        )
        keys = [list(each) for each in zip(*(row.key for row in rows), strict=True)]
        return driver.execute(statement, keys).rowcount


def emptying_task(job: Job, tools: Tools) -> Emptying:
    """Make the task of a job."""
    return adoption_task(Emptying, job, tools)
