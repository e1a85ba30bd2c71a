"""The database's copy of the realm, which is only ever compared with the settings'."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, insert, select

from vaultdb.db.schema import realm_table
from vaultdb.errors import SchemaError


def read_realm(connection: Connection) -> UUID | None:
    """Return the realm that the database was migrated for."""
    return connection.scalar(select(realm_table.c.realm))


def check_realm(connection: Connection, realm: UUID) -> None:
    """Compare the database's realm with the settings'.

    Raises:
        SchemaError: they differ, or the database has none.

    """
    found = read_realm(connection)
    if found is None:
        raise SchemaError("the database has no realm yet; run: vaultdb migrate up")
    if found != realm:
        raise SchemaError(
            f"this database belongs to realm {found}, the settings say {realm};"
            " correct VAULTDB_REALM or connect to the right database"
        )


def record_realm(connection: Connection, realm: UUID) -> None:
    """Record the realm of a new database; of another one, compare it."""
    if read_realm(connection) is None:
        connection.execute(insert(realm_table).values(realm=realm))
    check_realm(connection, realm)
