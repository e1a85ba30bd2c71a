"""What the catalogues of a migrated database show, beyond what its revisions say.

Privileges, policies and functions are not looked at here: `vaultdb roles verify` compares those.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, MetaData, Table, TextClause, text

from vaultdb.alembic.autogenerate.lookups import Lookups
from vaultdb.alembic.lints.finding import Pair, Problem
from vaultdb.db.shipped_sql import shipped_sql


def problems_in_the_database(connection: Connection) -> Iterator[Problem]:
    """Return what is wrong with encrypted columns."""
    for rule, message in connection.execute(_sql("problems")):
        yield Problem(rule, message)


def is_safe_to_drop(connection: Connection, pair: Pair) -> bool:
    """Tell whether a plaintext column is covered by a validated check, or gone already."""
    *schema, name = pair.table
    table = Table(name, MetaData(), schema=schema[0] if schema else None)
    lookups = Lookups(connection)
    place = {"schema": table.schema or lookups.default_schema, "table": name}
    columns = set(connection.scalars(_sql("columns"), place))
    if pair.encrypted in columns and pair.plain not in columns:
        return True
    return lookups.is_covered(table, pair.plain, pair.encrypted)


def _sql(name: str) -> TextClause:
    return text(shipped_sql("vaultdb.alembic.lints", name))
