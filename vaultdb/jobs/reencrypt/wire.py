"""Statements past psycopg's adaptation: parameters and results as bytes, and sent without waiting.

What is sent here is bytes already, and what comes back is wanted as bytes. `send` hands a statement
to the server completely and returns, so that the next batch is computed while the server works.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import ExecStatus, Format, TransactionStatus

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult
    from sqlalchemy import Connection

    from vaultdb.jobs.reencrypt.needs import Parameter

TICK = 1.0
"""Seconds between two looks at a connection that does not answer; only so that it can be ended."""

_READ = b"SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off"
_WRITE = (
    b"SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;"
    b" SET LOCAL enable_mergejoin = off; SET LOCAL jit = off"
)
_BY_PLACE = b"; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off"
_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED; "
_SAVEPOINT = b"SAVEPOINT vaultdb_batch"
_BACK = b"ROLLBACK TO SAVEPOINT vaultdb_batch"


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """Return psycopg's connection."""
    found: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    return found


def begin_reading(raw: psycopg.Connection[Any]) -> None:
    """Begin a transaction in which a table is read in the order of its key.

    The planner would sort a whole chunk for each batch if it believed that to be cheaper, as it
    does where a table has no statistics.
    """
    _simple(raw, _start(raw) + _READ)


def begin_writing(raw: psycopg.Connection[Any], *, by_place: bool) -> None:
    """Begin a transaction in which rows are looked up one by one, and that survives a bad row.

    Args:
        raw: psycopg's connection.
        by_place: look rows up by their ctid alone, not by their key.

    """
    _simple(raw, _start(raw) + _WRITE + (_BY_PLACE if by_place else b"") + b"; " + _SAVEPOINT)


def back_to_the_batch(raw: psycopg.Connection[Any]) -> None:
    """Undo what the batch has done, after a row was refused."""
    _simple(raw, _BACK)


def send(
    raw: psycopg.Connection[Any], statement: bytes, parameters: Sequence[Parameter]
) -> Callable[[], PGresult]:
    """Send a statement; return what waits for its result.

    Raises:
        psycopg.Error: it could not be sent; the returned function raises what the server says.

    """
    pgconn = raw.pgconn
    # A blocking connection takes all of it before it returns; there is no answer to wait for yet.
    pgconn.nonblocking = 0
    try:
        pgconn.send_query_params(
            statement,
            [parameter.value for parameter in parameters],
            [parameter.oid for parameter in parameters],
            [parameter.format for parameter in parameters],
            Format.BINARY,
        )
    finally:
        if pgconn.status == psycopg.pq.ConnStatus.OK:
            pgconn.nonblocking = 1
    return lambda: _answer(raw)


def run(
    raw: psycopg.Connection[Any], statement: bytes, parameters: Sequence[Parameter]
) -> PGresult:
    """Run a statement and return its result, in binary."""
    return send(raw, statement, parameters)()


def _start(raw: psycopg.Connection[Any]) -> bytes:
    idle = raw.pgconn.transaction_status == TransactionStatus.IDLE
    return _BEGIN if idle else b""


def _simple(raw: psycopg.Connection[Any], statements: bytes) -> None:
    raw.pgconn.send_query(statements)
    raw.pgconn.flush()
    _answer(raw)


def _answer(raw: psycopg.Connection[Any]) -> PGresult:
    """Wait for the last result of what was sent."""
    pgconn = raw.pgconn
    last: PGresult | None = None
    while True:
        while pgconn.is_busy():
            select.select([pgconn.socket], [], [], TICK)
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            break
        if last is None or last.status != ExecStatus.FATAL_ERROR:
            last = result
    if last is None:
        raise psycopg.OperationalError("the connection was lost")
    if last.status == ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(last, encoding="utf-8")
    return last
