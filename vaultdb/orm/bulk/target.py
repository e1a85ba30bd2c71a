"""The table that rows are copied into, as the database has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, inspect, text
from sqlalchemy.orm import Mapper

from vaultdb.errors import ConfigurationError, StatementRefused
from vaultdb.orm.writing.table import EncryptedTable, encrypted_table

if TYPE_CHECKING:
    from sqlalchemy import Column
    from sqlalchemy.engine import Connection

# A domain is written as its base type. COPY FROM does not know row-level security.
_LOOK = text("""
    SELECT a.attname AS name, coalesce(nullif(t.typbasetype, 0), a.atttypid) AS oid,
      pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), NULL) AS type,
      pg_catalog.row_security_active(a.attrelid) AS row_security
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = CAST(:table AS pg_catalog.regclass) AND a.attnum > 0
      AND NOT a.attisdropped
""")


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column in the database."""

    oid: int
    type: str
    """as `format_type` prints it, which can stand in a cast"""


@dataclass(frozen=True, slots=True)
class StoredTable:
    """What copying has to know about a table in the database."""

    name: str
    """quoted by the dialect, which doubles a %, with its schema where it has one"""
    columns: Mapping[str, StoredColumn]
    row_security: bool
    """whether policies apply to this login, so that PostgreSQL refuses COPY"""


@dataclass(frozen=True, slots=True)
class Target:
    """A table with encrypted columns, and what its columns are called by the caller.

    Args:
        table: the table.
        keys: from what the caller's rows say to column keys; empty when they are the same.
        constant: what every row holds besides: the discriminator of single-table inheritance.

    """

    table: EncryptedTable
    keys: Mapping[str, str]
    constant: Mapping[str, Any]


def target_of(model: Any) -> Target:
    """Return the target for a mapped class or a Table.

    Raises:
        ConfigurationError: neither of these, or a table without encrypted columns.
        StatementRefused: a class whose rows are spread over several tables, or a column whose
            plaintext is still written.

    """
    mapper = None if isinstance(model, Table) else inspect(model, raiseerr=False)
    if mapper is not None and not isinstance(mapper, Mapper):
        mapper = None
    table = mapper.local_table if mapper is not None else model
    encrypted = encrypted_table(table)
    if encrypted is None:
        raise ConfigurationError(
            f"copy_in() writes to mapped classes and tables with encrypted columns, not to {model}"
        )
    allowing = [each for each in encrypted.adopted.values() if each.type.allows_plaintext]
    if allowing:
        names = ", ".join(str(each.column) for each in allowing)
        raise StatementRefused(
            f"copy_in() writes no plaintext beside {names}, which old releases would miss: use "
            'insert(), or declare plaintext="forbid" when all rows are encrypted'
        )
    if mapper is None:
        return Target(encrypted, {}, {})
    if len(mapper.tables) > 1:
        raise StatementRefused(
            f"{mapper.class_.__name__} is stored in {len(mapper.tables)} tables: copy into each of"
            " them by its Table"
        )
    return Target(encrypted, _attribute_keys(mapper), _discriminator(mapper))


def stored(connection: Connection, table: Table, schema: str | None) -> StoredTable:
    """Look a table up, with the search path of the session.

    Args:
        connection: in the transaction that will copy.
        table: the table.
        schema: the one it is in for this connection.

    """
    preparer = connection.dialect.identifier_preparer
    name = preparer.quote(table.name)
    if schema is not None:
        name = f"{preparer.quote_schema(schema)}.{name}"
    rows = connection.execute(_LOOK, {"table": name.replace("%%", "%")}).all()
    columns = {row.name: StoredColumn(row.oid, row.type) for row in rows}
    return StoredTable(name, columns, any(row.row_security for row in rows))


def converters(
    columns: Sequence[Column[Any]], connection: Connection
) -> list[Callable[[Any], Any] | None]:
    """Return what the columns' types do to values that are bound, for those that do something.

    Raises:
        StatementRefused: a type that wraps its values in SQL.

    """
    found: list[Callable[[Any], Any] | None] = []
    for column in columns:
        type_ = column.type.dialect_impl(connection.dialect)
        if getattr(type_, "_has_bind_expression", False):
            raise StatementRefused(
                f"{column} has a type that wraps values in SQL, which COPY cannot: use insert()"
            )
        found.append(type_.bind_processor(connection.dialect))
    return found


def _attribute_keys(mapper: Mapper[Any]) -> Mapping[str, str]:
    keys = {attribute.key: attribute.columns[0].key for attribute in mapper.column_attrs}
    return {} if all(name == key for name, key in keys.items()) else keys


def _discriminator(mapper: Mapper[Any]) -> Mapping[str, Any]:
    column: Any = mapper.polymorphic_on
    if column is None or mapper.polymorphic_identity is None:
        return {}
    return {column.key: mapper.polymorphic_identity}
