"""SQL that is sent as it is written: no parameters, no colons or percent signs with a meaning."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement


class Statement(ExecutableDDLElement):
    """One statement whose names are quoted already.

    `text()` would take `:name` within a policy for a parameter, `DDL` would interpolate `%`.

    Args:
        sql: the statement, without a semicolon.
        printed: whether it goes into a script; drivers that format parameters with `%` want every
            percent sign doubled, `psql` does not.

    """

    inherit_cache = False

    def __init__(self, sql: str, *, printed: bool = False) -> None:
        self.sql = sql
        self.printed = printed


@compiles(Statement)
def _as_written(element: Statement, compiler: Any, **_: Any) -> str:
    if element.printed:
        return element.sql
    return str(compiler.sql_compiler.post_process_text(element.sql))


def run(operations: Operations, sql: str) -> None:
    """Execute a statement, or print it in offline mode."""
    operations.execute(Statement(sql, printed=operations.migration_context.as_sql))
