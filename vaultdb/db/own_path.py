"""Statements that resolve every name in PostgreSQL's own catalogue, whoever runs them.

Whoever may create in a schema of the search path can make a function or an operator there that
fits the arguments of a statement better than PostgreSQL's own, and that runs with the rights of
whoever runs the statement: the migrator's code as an administrator.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, text

PATH = "pg_catalog, pg_temp"

_NOW = text("SELECT pg_catalog.current_setting('search_path')")
_SET = text("SELECT pg_catalog.set_config('search_path', :path, true)")


@contextmanager
def own_path(connection: Connection) -> Iterator[None]:
    """Search only `pg_catalog` for a while, in the transaction of `connection`.

    After an exception the path stays: only who goes on in the same transaction would notice.

    Args:
        connection: in a transaction, or about to begin one.

    """
    before = connection.scalar(_NOW)
    connection.execute(_SET, {"path": PATH})
    yield
    connection.execute(_SET, {"path": before})


def own_path_options(said: object) -> dict[str, Any]:
    """Return the connect arguments that have a session begin so: drivers have questions, too.

    Args:
        said: the options that are already asked for, as in libpq's `options`; or None.

    """
    before = f"{said} " if said else ""
    return {"options": f"{before}-c search_path={PATH.replace(' ', '')}"}
