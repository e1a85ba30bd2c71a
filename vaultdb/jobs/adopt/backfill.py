"""The job that fills the encrypted column from the old one.

A row is written only while the old column holds what was encrypted and the encrypted one is empty:
whoever writes both at the same time wins. Rows that the column refuses are left as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from vaultdb.jobs.adopt.encryption import ColumnKeys
from vaultdb.jobs.adopt.reading import driver_of
from vaultdb.jobs.adopt.task import AdoptionTask, adoption_task
from vaultdb.jobs.work.row_keys import column
from vaultdb.jobs.work.task import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from vaultdb.jobs.adopt.encryption import Encrypted
    from vaultdb.jobs.adopt.reading import OldRow
    from vaultdb.jobs.work.job import Job
    from vaultdb.jobs.work.task import Span, Tools

KIND = "adopt-backfill"
NOT_UNIQUE = "not unique, or another constraint refuses it"


class Backfill(AdoptionTask):
    """Encrypts what is not encrypted yet."""

    @property
    def condition(self) -> sql.Composable:
        """Say which rows need work."""
        return sql.SQL("{} IS NOT NULL AND {} IS NULL").format(
            column(self.adoption.plain), column(self.adoption.encrypted)
        )

    def batch(self, connection: Connection, span: Span, limit: int) -> Batch:
        """Encrypt the next rows of a span."""
        rows = self.rows.read(connection, self.condition, span, limit, lock=True)
        made, refused = ColumnKeys(self.adoption, self.keyring).encrypt(rows)
        changed, duplicates = self._store(connection, made)
        quarantined = self.quarantined({**refused, **duplicates})
        return Batch(
            last=rows[-1].key if len(rows) == limit else None,
            seen=len(rows),
            changed=changed,
            conflicts=len(rows) - changed - len(quarantined),
            quarantined=quarantined,
        )

    def _store(
        self, connection: Connection, made: Sequence[Encrypted]
    ) -> tuple[int, dict[OldRow, str]]:
        """Store all at once, or one by one when a constraint refuses one of them."""
        if not made:
            return 0, {}
        driver = driver_of(connection)
        try:
            with driver.transaction():
                return self._update(driver, made), {}
        except psycopg.IntegrityError:
            pass  # outside the handler: the error quotes values
        return self._store_singly(driver, made)

    def _store_singly(
        self, driver: psycopg.Connection[Any], made: Sequence[Encrypted]
    ) -> tuple[int, dict[OldRow, str]]:
        changed = 0
        refused: dict[OldRow, str] = {}
        for each in made:
            try:
                with driver.transaction():
                    changed += self._update(driver, [each])
            except psycopg.IntegrityError:
                refused[each.row] = NOT_UNIQUE
        return changed, refused

    def _update(self, driver: psycopg.Connection[Any], made: Sequence[Encrypted]) -> int:
        names = [self.adoption.encrypted, *self.adoption.companions]
        stored = [[each.envelope for each in made]]
        stored += [list(each) for each in zip(*(each.digests for each in made), strict=True)]
        values = [sql.Identifier(f"n{number}") for number in range(len(names))]
        statement = sql.SQL(
            "UPDATE {table} AS t SET {changes} FROM unnest({keys}, %b::text[], {arrays})"
            " AS v ({key_names}, old, {values})"
            ' WHERE {same_key} AND {plain}::text COLLATE "C" IS NOT DISTINCT FROM v.old'
            " AND {encrypted} IS NULL"
        ).format(
            table=self.adoption.keys.table,
            changes=sql.SQL(", ").join(
                sql.SQL("{} = v.{}").format(sql.Identifier(name), value)
                for name, value in zip(names, values, strict=True)
            ),
            arrays=sql.SQL(", ").join([sql.SQL("%b::bytea[]")] * len(names)),
            values=sql.SQL(", ").join(values),
            plain=column(self.adoption.plain),
            encrypted=column(self.adoption.encrypted),
            **self.key_match(driver),
        )
        keys = [list(each) for each in zip(*(each.row.key for each in made), strict=True)]
        done = driver.execute(statement, [*keys, [each.row.old for each in made], *stored])
        return done.rowcount


def backfill_task(job: Job, tools: Tools) -> Backfill:
    """Make the task of a job."""
    return adoption_task(Backfill, job, tools)
