"""What the migrator does in an adoption: prove that nothing is left, and take the trigger away."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from vaultdb.alembic.operations.invalidation import trigger_name
from vaultdb.db.quoting import LONGEST_NAME
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.reading import driver_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vaultdb.jobs.adopt.adoption import Adoption

LOCK_TIMEOUT = "3s"
"""How long a statement waits for its lock, and everybody else behind it."""


def constraint_name(adoption: Adoption) -> str:
    """Return what the CHECK is called."""
    name = f"{adoption.table.name}_{adoption.plain}_is_encrypted"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}_{digest}"


def check_statements(adoption: Adoption) -> list[sql.Composed]:
    """Return the CHECK in two steps: the first takes a moment's lock, the second reads all rows."""
    table = adoption.keys.table
    name = sql.Identifier(constraint_name(adoption))
    plain, encrypted = sql.Identifier(adoption.plain), sql.Identifier(adoption.encrypted)
    return [
        sql.SQL(
            "ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NULL OR {} IS NOT NULL) NOT VALID"
        ).format(table, name, plain, encrypted),
        sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(table, name),
    ]


def add_check(connection: Connection, adoption: Adoption) -> None:
    """Add the CHECK and validate it; an interrupted run is simply run again.

    Args:
        connection: by the migrator's login; in autocommit.
        adoption: the column.

    Raises:
        ConfigurationError: a row is left unencrypted, or the lock was not to be had in time.

    """
    driver = driver_of(connection)
    _wait_briefly(driver)
    adding, validating = check_statements(adoption)
    with suppress(psycopg.errors.DuplicateObject):
        driver.execute(adding)
    is_violated = False
    try:
        driver.execute(validating)
    except psycopg.errors.CheckViolation:  # outside the handler: the error quotes the row
        is_violated = True
    if is_violated:
        raise ConfigurationError(
            "a row is not encrypted; the check is there, so none is added any more; run: vaultdb"
            f" adopt backfill {adoption.table.fullname} {adoption.encrypted}, and this again"
        )


def drop_trigger(connection: Connection, adoption: Adoption) -> None:
    """Drop the trigger that empties the ciphertext when the old value changes, and its function.

    Args:
        connection: by the migrator's login; in autocommit.
        adoption: the column.

    """
    driver = driver_of(connection)
    _wait_briefly(driver)
    schema = [adoption.table.schema] if adoption.table.schema else []
    name = trigger_name(adoption.table.name, adoption.plain)
    with driver.transaction():
        driver.execute(
            sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(
                sql.Identifier(name), adoption.keys.table
            )
        )
        driver.execute(
            sql.SQL("DROP FUNCTION IF EXISTS {}()").format(sql.Identifier(*schema, name))
        )


def _wait_briefly(driver: psycopg.Connection[tuple[object, ...]]) -> None:
    driver.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
