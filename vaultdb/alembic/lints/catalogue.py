"""What the catalogues of a migrated database show, beyond what its revisions say.

Privileges, policies and functions are not looked at here: `vaultdb roles verify` compares those.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from sqlalchemy import Connection, MetaData, Table, text

from vaultdb.alembic.autogenerate.lookups import Lookups
from vaultdb.alembic.lints.finding import Pair, Problem


def problems_in_the_database(connection: Connection) -> Iterator[Problem]:
    """Return what is wrong with encrypted columns."""
    for rule, message in connection.execute(text(_sql("problems"))):
        yield Problem(rule, message)


def is_safe_to_drop(connection: Connection, pair: Pair) -> bool:
    """Tell whether a plaintext column is covered by a validated check, or gone already."""
    *schema, name = pair.table
    table = Table(name, MetaData(), schema=schema[0] if schema else None)
    lookups = Lookups(connection)
    place = {"schema": table.schema or lookups.default_schema, "table": name}
    columns = set(connection.scalars(text(_sql("columns")), place))
    if pair.encrypted in columns and pair.plain not in columns:
        return True
    return lookups.is_covered(table, pair.plain, pair.encrypted)


def _sql(name: str) -> str:
    path = resources.files("vaultdb.alembic.lints").joinpath("sql", f"{name}.sql")
    return path.read_text("utf-8")
