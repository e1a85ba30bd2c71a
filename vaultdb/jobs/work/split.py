"""How a table is cut into chunks: at quantiles of its key, estimated from a sample of its pages.

Steps from the lowest key to the highest would give empty and overfull chunks where keys are sparse
or random. A sample costs the same for every size of table.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.jobs.work.row_keys import row_keys
from vaultdb.jobs.work.task import Key, Span

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

CHUNK_ROWS = 50_000
"""Rows of a chunk: a second of work or two, so that workers stop and change over quickly."""
SAMPLED_PAGES = 4_000
"""Pages of 8 kB that are read to find quantiles: a tenth of a second; about 100,000 rows."""

_PAGES = shipped_sql("vaultdb.jobs.work", "pages").encode()
_QUANTILES = """
    SELECT {texts}, s.rows
    FROM (SELECT {keys}, row_number() OVER (ORDER BY {keys}) AS n, count(*) OVER () AS rows
          FROM {table} AS t TABLESAMPLE SYSTEM ({percent}) REPEATABLE (0)) AS s ({names}, n, rows)
    WHERE s.n = 1 OR s.n % greatest(1, {step}::bigint * {percent} / 100)::bigint = 0
    ORDER BY s.n
"""


@dataclass(frozen=True, slots=True)
class Split:
    """Spans that together cover a table, also rows that are added later.

    Args:
        spans: in the key's order, without gaps; the first and the last are open.
        estimated_rows: of the whole table.

    """

    spans: tuple[Span, ...]
    estimated_rows: int = 0


def split_table(connection: Connection, table: Table, *, chunk_rows: int = CHUNK_ROWS) -> Split:
    """Cut a table into chunks of about equal size.

    Args:
        connection: by a login that may read the key.
        table: as declared today.
        chunk_rows: rows of a chunk, about.

    Raises:
        ConfigurationError: the table has no key.

    """
    keys = row_keys(table)
    driver: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    name = keys.table.as_string(driver)
    pages = driver.execute(_PAGES, [name]).fetchone()
    percent = min(100.0, 100.0 * SAMPLED_PAGES / max(pages[0] if pages else 1, 1))
    names = [sql.Identifier(f"k{number}") for number in range(len(keys.names))]
    statement = sql.SQL(_QUANTILES).format(
        texts=sql.SQL(", ").join(sql.SQL("s.{}::text").format(each) for each in names),
        keys=keys.order,
        names=sql.SQL(", ").join(names),
        table=keys.table,
        percent=sql.Literal(percent),
        step=sql.Literal(chunk_rows),
    )
    found = driver.execute(statement).fetchall()
    if not found:
        return Split((Span(),))
    borders: list[Key] = [tuple(row[:-1]) for row in found[1:]]
    ends = [None, *borders, None]
    spans = tuple(Span(after, upto) for after, upto in pairwise(ends))
    return Split(spans, round(found[0][-1] * 100 / percent))
