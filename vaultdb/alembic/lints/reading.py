"""From SQL to what it does; what no rule looks at gives nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vaultdb.alembic.lints.events import Event
from vaultdb.alembic.lints.other_statements import (
    read_function,
    read_grant,
    read_policy,
    read_publication,
    read_view,
)
from vaultdb.alembic.lints.reader import Reader
from vaultdb.alembic.lints.table_statements import read_table
from vaultdb.alembic.sql_tokens import statements

_READERS: tuple[Callable[[Reader], Iterator[Event]], ...] = (
    read_table,
    read_grant,
    read_policy,
    read_function,
    read_view,
    read_publication,
)


def events_of(sql: str) -> Iterator[Event]:
    """Return what the statements of some SQL do, in order."""
    for statement in statements(sql):
        for read in _READERS:
            yield from read(Reader(statement))
