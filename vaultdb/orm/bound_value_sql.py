"""How a bound value is written on each dialect."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from vaultdb.errors import StatementRefused
from vaultdb.orm.bound_value import BoundValue
from vaultdb.orm.row_expression import BYTES, bytes_literal, concatenation, size_of
from vaultdb.orm.search_verification import companion_to_verify
from vaultdb.orm.sections import COMPANION, TENANT

SQLITE_FUNCTION = "vaultdb_bind_row"
"""A Python function on each SQLite connection; see `vaultdb.orm.sqlite`."""

SQLITE_COMPANION = "c"
SQLITE_TENANT = "t"


@compiles(BoundValue, "postgresql")
def _postgresql(element: BoundValue, compiler: SQLCompiler, **kw: Any) -> str:
    companion = companion_to_verify(element, compiler)
    if not element.key and element.tenant is None and companion is None:
        return compiler.process(element.value, **kw)
    row: ColumnElement[bytes] = bytes_literal(b"")
    if element.key:
        # The key of a view may be NULL beside a value: reading refuses an empty row binding.
        row = _present(element.row_key.expression(element.key))
    value = concatenation([*_sections(element, companion), element.value])
    return compiler.process(func.vaultdb.bind_row(row, value, type_=BYTES), **kw)


@compiles(BoundValue, "sqlite")
def _sqlite(element: BoundValue, compiler: SQLCompiler, **kw: Any) -> str:
    companion = companion_to_verify(element, compiler)
    if not element.key and element.tenant is None and companion is None:
        return compiler.process(element.value, **kw)
    tags = "".join(str(int(tag)) for tag in element.row_key.tags)
    arguments = list(element.key)
    for marker, column in ((SQLITE_COMPANION, companion), (SQLITE_TENANT, element.tenant)):
        if column is not None:
            tags += marker
            arguments.append(column)
    function = getattr(func, SQLITE_FUNCTION)
    call = function(literal_column(f"'{tags}'"), element.value, *arguments, type_=BYTES)
    return compiler.process(call, **kw)


@compiles(BoundValue)
def _elsewhere(element: BoundValue, compiler: SQLCompiler, **kw: Any) -> str:
    if compiler.dialect.name == "default":  # for str(), and where SQLAlchemy looks at a statement
        return str(_postgresql(element, compiler, **kw))
    raise StatementRefused(
        f"encrypted columns work on PostgreSQL, and on SQLite in tests, not on "
        f"{compiler.dialect.name}"
    )


def _sections(
    element: BoundValue, companion: ColumnElement[Any] | None
) -> list[bytes | ColumnElement[bytes]]:
    sections: list[bytes | ColumnElement[bytes]] = []
    if companion is not None:
        sections += [bytes((COMPANION,)), _present(companion)]
    if element.tenant is not None:
        text = cast(element.tenant, Text)
        tenant = func.pg_catalog.convert_to(text, literal_column("'UTF8'"), type_=BYTES)
        sections += [bytes((TENANT,)), size_of(_present(tenant)), _present(tenant)]
    return sections


def _present(expression: ColumnElement[Any]) -> ColumnElement[bytes]:
    """Make NULL an empty string of bytes: with NULL the value itself would silently be NULL."""
    return func.coalesce(expression, bytes_literal(b""), type_=BYTES)
