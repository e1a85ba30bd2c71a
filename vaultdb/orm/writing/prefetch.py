"""Keys that the server makes, asked for before the rows that they belong to: one query.

Identity and serial columns, sequences, SQL and server defaults, SQL in `values()`. The query gives
one row per row of the INSERT, and the INSERT then names its keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.schema import DefaultClause
from sqlalchemy.sql.elements import TextClause

from vaultdb.errors import StatementRefused
from vaultdb.orm.writing.values import is_expression

if TYPE_CHECKING:
    from sqlalchemy import Column, FromClause

    from vaultdb.orm.writing.write import Row, Write

_ROWS = "vaultdb_rows"


def fetch_keys(write: Write, rows: Sequence[Row], columns: Sequence[Column[Any]]) -> None:
    """Put server-made values of these key columns into the rows.

    Raises:
        StatementRefused: a column has no default, or one that only the INSERT itself can evaluate.

    """
    series = _series(write.connection.dialect.name)
    sources = [_source(write, rows, column, series).label(None) for column in columns]
    query = select(*sources).select_from(series)
    fetched = write.query(query, {_ROWS: len(rows)})
    for row, values in zip(rows, fetched, strict=True):
        for column, value in zip(columns, values, strict=True):
            row[column.key] = value


def _series(dialect: str) -> FromClause:
    """Return the numbers from 1 to the number of rows as column `i`."""
    last = bindparam(_ROWS, type_=Integer)
    if dialect == "postgresql":
        return func.generate_series(1, last, type_=Integer).table_valued("i")
    numbers = select(literal(1, Integer).label("i")).cte("vaultdb_series", recursive=True)
    return numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < last))


def _source(
    write: Write, rows: Sequence[Row], column: Column[Any], series: FromClause
) -> ColumnElement[Any]:
    given = rows[0].get(column.key)
    if is_expression(given):
        _refuse_different(rows, column, given)
        return type_coerce(given, column.type)
    default: Any = column.default
    if default is not None and default.is_sequence:
        return default.next_value()  # type: ignore[no-any-return]
    if default is not None and default.is_clause_element:
        return type_coerce(default.arg, column.type)
    if isinstance(column.server_default, DefaultClause):
        return _server_default(column, column.server_default.arg)
    if column is write.table.table.autoincrement_column:
        return _next_number(write, column, series)
    raise StatementRefused(
        f"the value of key column {column} is not known before the row is inserted, and encrypted "
        "values are bound to it: give it a value, or declare default="
    )


def _server_default(column: Column[Any], default: Any) -> ColumnElement[Any]:
    if isinstance(default, TextClause):
        return literal_column(default.text, column.type)
    if isinstance(default, str):
        return cast(literal(default), column.type)
    return type_coerce(default, column.type)


def _next_number(write: Write, column: Column[Any], series: FromClause) -> ColumnElement[Any]:
    """Return the next number of an Identity, serial or SQLite rowid column."""
    dialect = write.connection.dialect
    table = write.table.table
    if dialect.name == "postgresql":
        preparer = dialect.identifier_preparer
        schema = write.schema_of(table)
        names = [preparer.quote(table.name)]
        if schema is not None:
            names.insert(0, preparer.quote_schema(schema))
        # Qualified and cast: of two functions the search path would take the one that fits best.
        sequence = func.pg_catalog.pg_get_serial_sequence(".".join(names), column.name)
        number = func.pg_catalog.nextval(cast(sequence, REGCLASS))
        return type_coerce(number, column.type)
    if dialect.name == "sqlite":
        highest = select(func.max(column)).scalar_subquery()
        return type_coerce(func.coalesce(highest, 0) + series.c.i, column.type)
    raise StatementRefused(
        f"keys made by {dialect.name} cannot be asked for: give {column} a value"
    )


def _refuse_different(rows: Sequence[Row], column: Column[Any], expression: Any) -> None:
    if any(row[column.key] is not expression for row in rows):
        raise StatementRefused(
            f"key column {column} is given as several SQL expressions: give plain values, or one "
            "expression for all rows"
        )
