"""A task that adds one to each row of a table, once: what the engine's tests work with."""

from __future__ import annotations

from typing import Any

from psycopg import sql
from sqlalchemy import Boolean, Column, Connection, Integer, MetaData, Table

from vaultdb.jobs.work.job import Job
from vaultdb.jobs.work.registry import register_task
from vaultdb.jobs.work.row_keys import RowKeys, row_keys
from vaultdb.jobs.work.task import Batch, Quarantined, Span, Tools

_NEXT = """
    WITH l AS MATERIALIZED (
      SELECT {keys}, t.bad FROM {table} AS t WHERE NOT t.done AND {within}
      ORDER BY {keys} LIMIT {limit}
    )
    SELECT {texts}, t.bad FROM l AS t ORDER BY {keys}
"""
_CHANGE = """
    WITH l AS MATERIALIZED (
      SELECT {keys} FROM {table} AS t WHERE NOT t.done AND NOT t.bad AND {within}
      FOR NO KEY UPDATE OF t SKIP LOCKED
    )
    UPDATE {table} AS u SET "select" = "select" + 1, done = true
    FROM l AS t WHERE ({keys}) = ({own})
"""


def counted(name: str, *keys: Column[Any]) -> Table:
    """Declare a table that the task works on."""
    return Table(
        name,
        MetaData(),
        *keys,
        Column("select", Integer, nullable=False, server_default="0"),
        Column("done", Boolean, nullable=False, server_default="false"),
        Column("bad", Boolean, nullable=False, server_default="false"),
    )


class Counting:
    """Adds one to `select` of rows that are not `done`; `bad` ones are put into quarantine."""

    def __init__(self, keys: RowKeys) -> None:
        self.keys = keys

    def batch(self, connection: Connection, span: Span, limit: int) -> Batch:
        found = self._run(connection, _NEXT, span, limit).fetchall()
        if not found:
            return Batch(None)
        keys = [tuple(row[:-1]) for row in found]
        bad = tuple(
            Quarantined(k, "select", "bad") for k, row in zip(keys, found, strict=True) if row[-1]
        )
        changed = self._run(connection, _CHANGE, Span(span.after, keys[-1]), limit).rowcount
        conflicts = len(keys) - len(bad) - changed
        return Batch(keys[-1], len(keys), changed, conflicts, bad)

    def remaining(self, connection: Connection) -> int:
        return self._run(
            connection, "SELECT count(*) FROM {table} AS t WHERE NOT t.done AND {within}", Span(), 0
        ).fetchone()[0]

    def _run(self, connection: Connection, text: str, span: Span, limit: int) -> Any:
        within, parameters = self.keys.within(span)
        statement = sql.SQL(text).format(
            keys=self.keys.order,
            own=sql.SQL(", ").join(sql.Identifier("u", name) for name in self.keys.names),
            texts=self.keys.texts,
            table=self.keys.table,
            within=within,
            limit=sql.Literal(limit),
        )
        return connection.connection.driver_connection.execute(statement, parameters)


def _task(job: Job, tools: Tools) -> Counting:
    return Counting(row_keys(tools.metadata.tables[job.spec["table"]]))


register_task("counting", _task)
