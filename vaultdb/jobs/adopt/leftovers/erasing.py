"""Erasing what the old column left behind in the table's files, the statistics and the WAL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql
from sqlalchemy import func, insert

from vaultdb.db.schema import job_table
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.leftovers.files import ServerFiles
from vaultdb.jobs.adopt.leftovers.samples import has_column
from vaultdb.jobs.adopt.leftovers.status import ERASED
from vaultdb.jobs.adopt.reading import driver_of
from vaultdb.jobs.adopt.task import count_rows
from vaultdb.jobs.work.row_keys import column

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection

    from vaultdb.jobs.adopt.adoption import Adoption

LOCK_TIMEOUT = "10s"
"""How long the rewrite waits for its lock, and everybody else behind it."""
ROUNDS = 4
"""How often all segments of the WAL are gone through: some are recycled while this runs."""

_SIZE = "SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(relid))::bigint FROM (SELECT relid FROM pg_catalog.pg_partition_tree(%(table)s::pg_catalog.regclass) UNION SELECT %(table)s::pg_catalog.regclass) AS t"  # noqa: E501
_NAME = "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn())"
_SWITCH = (
    "SELECT pg_catalog.pg_logical_emit_message(true, 'vaultdb', 'erase')",
    "SELECT pg_catalog.pg_switch_wal()",
)
_SEGMENT_SIZE = "SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size'"


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure will do.

    Args:
        table: quoted.
        size: bytes of the table with its indexes, which are written anew.
        segments: of the WAL, which are written over or removed.
        segment_size: bytes of each.

    """

    table: str
    size: int
    segments: int
    segment_size: int


def plan(connection: Connection, adoption: Adoption) -> Plan:
    """Look at what there is to erase.

    Args:
        connection: by an administrator's login; in autocommit.
        adoption: the column.

    Raises:
        ConfigurationError: the old column still holds values.

    """
    driver = driver_of(connection)
    condition = sql.SQL("{} IS NOT NULL").format(column(adoption.plain))
    held = count_rows(connection, adoption, condition) if has_column(connection, adoption) else 0
    if held:
        raise ConfigurationError(
            f"{adoption.target} still holds values, {held:,} of them; empty it first: vaultdb adopt"
            f" null {adoption.table.fullname} {adoption.encrypted}"
        )
    table = adoption.keys.table.as_string(driver)
    size = _scalar(driver, _SIZE, {"table": table})
    segments = len(ServerFiles(driver).wal())
    return Plan(table, int(size or 0), segments, int(_scalar(driver, _SEGMENT_SIZE)))


def erase(
    connection: Connection,
    adoption: Adoption,
    *,
    rewrites: bool = True,
    recycles: bool = True,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Write the table and the planner's statistics anew, then the WAL over, and remember the time.

    Args:
        connection: by an administrator's login; in autocommit.
        adoption: the column.
        rewrites: False when something else has just rewritten the table, such as pg_repack.
        recycles: False to leave the WAL to its own pace.
        progress: told what is being done.

    Raises:
        ConfigurationError: the lock was not to be had in time.

    """
    tell = progress or (lambda _: None)
    driver = driver_of(connection)
    driver.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
    if rewrites:
        tell("rewriting the table")
        driver.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(adoption.keys.table))
    tell("rewriting the planner's statistics")
    for name in ("pg_statistic", "pg_statistic_ext_data"):
        table = sql.Identifier("pg_catalog", name)
        driver.execute(sql.SQL("VACUUM (FULL) {}").format(table))
    if recycles:
        tell("writing over the wal")
        _write_over_wal(driver)
    _remember(connection, adoption)


def _write_over_wal(driver: psycopg.Connection[Any]) -> None:
    """Go through every segment that there is: recycled ones keep their bytes until they are used.

    A switch fills the rest of a segment with zeroes. A checkpoint removes or recycles what lies
    behind it.
    """
    files = ServerFiles(driver)
    for _ in range(ROUNDS):
        driver.execute("CHECKPOINT")
        current = _scalar(driver, _NAME)
        ahead = [path for path in files.wal() if path.removeprefix("pg_wal/") > current]
        for _segment in range(len(ahead) + 1):
            for statement in _SWITCH:
                driver.execute(statement.encode())
        if not ahead:
            break
    driver.execute("CHECKPOINT")


def _remember(connection: Connection, adoption: Adoption) -> None:
    values = {"kind": ERASED, "target": adoption.target, "spec": {}, "state": "finished"}
    connection.execute(insert(job_table).values(values | {"changed_at": func.now()}))


def _scalar(driver: psycopg.Connection[Any], query: str, parameters: Any = None) -> Any:
    row = driver.execute(query.encode(), parameters).fetchone()
    return None if row is None else row[0]
