"""Cursors that always use the extended protocol, which runs one statement and no more.

Without parameters psycopg uses the simple protocol, and `text("select 1; drop table x")` runs
both. There is no public switch: `prepare=True` does nothing behind a pooler (where preparing is
off) and leaves a prepared statement for every text; a pipeline hides results until a
synchronisation. So one method is overridden that is not public, and its presence is checked at
import; `tests/integration/db` runs stacked statements against every supported release.
"""

from __future__ import annotations

import inspect
from typing import Any

import psycopg
from psycopg.pq import Format

from vaultdb.errors import ConfigurationError

if "force_extended" not in inspect.signature(psycopg.Cursor._execute_send).parameters:  # noqa: SLF001
    raise ConfigurationError(
        f"psycopg {psycopg.__version__} is newer than this vaultdb knows: statements could be"
        " stacked; update vaultdb-sqlalchemy or pin psycopg below that release"
    )


class ExtendedCursor(psycopg.Cursor[Any]):
    """A psycopg cursor that cannot run two statements at once."""

    def _execute_send(
        self, query: Any, *, force_extended: bool = True, binary: bool | None = None
    ) -> None:
        del force_extended  # whatever the caller found sufficient
        super()._execute_send(query, force_extended=True, binary=binary)


class AsyncExtendedCursor(psycopg.AsyncCursor[Any]):
    """The same for asyncio."""

    def _execute_send(
        self, query: Any, *, force_extended: bool = True, binary: bool | None = None
    ) -> None:
        del force_extended
        super()._execute_send(query, force_extended=True, binary=binary)


def ask_for_binary_results(cursor: Any) -> None:
    """Let this cursor fetch in binary, which is safe only when every result type is known to be.

    Args:
        cursor: what SQLAlchemy's `before_cursor_execute` passes; its adapter for asyncio too.

    """
    driver_cursor = getattr(cursor, "_cursor", cursor)
    if isinstance(driver_cursor, ExtendedCursor | AsyncExtendedCursor):
        driver_cursor.format = Format.BINARY
