"""What encrypted columns are in the database, and what is done when their table is created."""

from __future__ import annotations

from typing import Any

from sqlalchemy import DDL, Connection, Table, event, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import TypeCompiler

from vaultdb.errors import SchemaError
from vaultdb.orm.stored_types import Envelope, IndexValue
from vaultdb.orm.types import Encrypted

STORED_TYPES = (Encrypted, Envelope)
"""Column types whose values are envelopes."""


@compiles(Encrypted, "postgresql")
@compiles(Envelope, "postgresql")
def _envelope(_type: Any, _compiler: TypeCompiler, **_: Any) -> str:
    # The domain refuses plaintext that is written past SQLAlchemy by accident.
    return "vaultdb.envelope"


@compiles(IndexValue, "postgresql")
def _index_value(_type: Any, _compiler: TypeCompiler, **_: Any) -> str:
    return "BYTEA"


@event.listens_for(Table, "before_create")
def _require_domain(table: Table, connection: Connection | None, **_: Any) -> None:
    """Say what is missing, before PostgreSQL says that it does not know a type."""
    if not isinstance(connection, Connection) or not _stores_envelopes(table, connection):
        return  # SQL is printed, not run
    if connection.scalar(text("SELECT to_regtype('vaultdb.envelope')")) is None:
        raise SchemaError(
            "this database has no vaultdb schema, which encrypted columns need; run "
            "`vaultdb migrate up` first"
        )


@event.listens_for(Table, "after_create")
def _keep_uncompressed(table: Table, connection: Connection | None, **_: Any) -> None:
    """Set STORAGE EXTERNAL: trying to compress ciphertext is work for nothing.

    In CREATE TABLE itself only from PostgreSQL 16 on.
    """
    if connection is None or not _stores_envelopes(table, connection):
        return
    quote = connection.dialect.identifier_preparer.quote
    place = [connection.schema_for_object(table), table.name]
    table_name = ".".join(quote(name) for name in place if name is not None)
    for column in table.columns:
        if isinstance(column.type, STORED_TYPES):
            statement = "ALTER TABLE %(fullname)s ALTER COLUMN %(column)s SET STORAGE EXTERNAL"
            names = {"fullname": table_name, "column": quote(column.name)}
            # A percent sign is quoted with two; DDL doubles them once more.
            context = {key: name.replace("%%", "%") for key, name in names.items()}
            ddl = DDL(statement, context=context)  # type: ignore[no-untyped-call]
            connection.execute(ddl.against(table))


def _stores_envelopes(table: Table, connection: Connection) -> bool:
    return connection.dialect.name == "postgresql" and any(
        isinstance(column.type, STORED_TYPES) for column in table.columns
    )
