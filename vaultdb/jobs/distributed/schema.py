"""procrastinate's own tables, in a schema that only the rotator capability may use."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import psycopg
from procrastinate.schema import SchemaManager
from psycopg import sql
from sqlalchemy import Connection, text

from vaultdb.errors import SchemaError

if TYPE_CHECKING:
    from vaultdb.db.role_names import RoleNames

SCHEMA = "procrastinate"

_COMMENT = text("""
    SELECT pg_catalog.obj_description(oid, 'pg_namespace') FROM pg_catalog.pg_namespace
    WHERE nspname = :schema
""")
_EXISTS = text("SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = :schema)")

_GRANTS = (
    "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC",
    "GRANT USAGE ON SCHEMA {schema} TO {rotator}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {rotator}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {rotator}",
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {rotator}",
)


@dataclass(frozen=True, slots=True)
class Installed:
    """What is there.

    Args:
        version: of procrastinate; None when there is nothing.

    """

    version: str | None


def installed(connection: Connection) -> Installed:
    """Look whether procrastinate's tables are there, and of which version.

    Raises:
        SchemaError: there is a schema of that name that somebody else has made.

    """
    if not connection.scalar(_EXISTS, {"schema": SCHEMA}):
        return Installed(None)
    comment = str(connection.scalar(_COMMENT, {"schema": SCHEMA}) or "")
    name, _, found = comment.partition(" ")
    if name != "procrastinate" or not found:
        raise SchemaError(
            f"schema {SCHEMA} was not made by vaultdb jobs install; drop it, or use its own worker"
        )
    return Installed(found)


def current_version() -> str:
    """Return the version of procrastinate that is running."""
    return version("procrastinate")


def statements(names: RoleNames) -> list[sql.Composed]:
    """Return what makes the schema and its grants, to be run by its owner in one transaction.

    Args:
        names: of the capability roles.

    """
    schema, rotator = sql.Identifier(SCHEMA), sql.Identifier(names.rotator)
    comment = sql.Literal(f"procrastinate {current_version()}")
    made = sql.SQL(SchemaManager.get_schema())  # type: ignore[arg-type,unused-ignore]
    return [
        sql.SQL("CREATE SCHEMA {}").format(schema),
        sql.SQL("SET LOCAL search_path = {}, pg_catalog, pg_temp").format(schema),
        sql.Composed([made]),
        sql.SQL("COMMENT ON SCHEMA {} IS {}").format(schema, comment),
        *(sql.SQL(each).format(schema=schema, rotator=rotator) for each in _GRANTS),
    ]


def install(connection: Connection, names: RoleNames) -> bool:
    """Make procrastinate's tables unless they are there; return whether they were made.

    Args:
        connection: of the migrator, acting as the owner; a transaction that it has is used.
        names: of the capability roles.

    Raises:
        SchemaError: another version is installed, or a schema of that name is somebody else's.

    """
    found = installed(connection).version
    if found == current_version():
        return False
    if found is not None:
        raise SchemaError(
            f"the database has the tables of procrastinate {found}, this is {current_version()}:"
            f" apply procrastinate's own migrations in schema {SCHEMA}, or, with no job in it, drop"
            " the schema and run this again"
        )
    driver: Any = connection.connection.driver_connection
    with psycopg.Cursor(driver) as cursor:
        for statement in statements(names):
            cursor.execute(statement)
    return True
