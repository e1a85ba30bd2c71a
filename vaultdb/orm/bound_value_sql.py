"""How a bound value is written on each dialect."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import SelectBase

from vaultdb.errors import StatementRefused
from vaultdb.orm.bound_value import BoundValue
from vaultdb.orm.plaintext import SQLITE_PLAINTEXT, marked
from vaultdb.orm.row_expression import BYTES, bytes_literal, concatenation, size_of
from vaultdb.orm.runtime import runtime_of
from vaultdb.orm.search_verification import companion_to_verify
from vaultdb.orm.sections import COMPANION, TENANT

SQLITE_FUNCTION = "vaultdb_bind_row"
"""A Python function on each SQLite connection; see `vaultdb.orm.sqlite`."""

SQLITE_COMPANION = "c"
SQLITE_TENANT = "t"

_NO_BYTES = bytes_literal(b"")
_NO_ROW = bytes_literal(bytes(4))
"""A row binding of size 0: there is no key, or it is NULL."""


@compiles(BoundValue, "postgresql")
def _postgresql(element: BoundValue, compiler: SQLCompiler, **kw: Any) -> str:
    bound = _bound(element, compiler)
    if element.plain is not None:
        plain = marked(element.encrypted, element.plain)
        bound = func.coalesce(bound, plain, type_=BYTES)
    return compiler.process(bound, **kw)


def _bound(element: BoundValue, compiler: SQLCompiler) -> ColumnElement[Any]:
    companion = companion_to_verify(element, compiler)
    if not element.key_columns and element.tenant is None and companion is None:
        return element.value
    pieces = [*_sections(element, companion), element.value]
    row = None if _may_be_sorted(compiler) else _sized_row(element)
    if row is not None:
        return concatenation([row, *pieces])
    return func.vaultdb.bind_row(_row(element), concatenation(pieces), type_=BYTES)


def _row(element: BoundValue) -> ColumnElement[bytes]:
    if not element.key_columns:
        return _NO_BYTES
    return _present(element.row_key.expression(element.key_columns))


def _sized_row(element: BoundValue) -> ColumnElement[bytes] | None:
    """Build the row binding behind its size; None where the function does it at the same cost."""
    if not element.key_columns:
        return _NO_ROW
    sized = element.row_key.sized_expression(element.key_columns)
    return None if sized is None else func.coalesce(sized, _NO_ROW, type_=BYTES)


def _may_be_sorted(compiler: SQLCompiler) -> bool:
    """Tell whether the server may sort or drop rows after it has computed the column list.

    What is concatenated in the column list is computed, and large values fetched for it, before a
    sort; `vaultdb.bind_row` is VOLATILE, so it is computed after. Without a sort the operators
    are faster by the call of a function (0.6 µs for each value).
    """
    return any(_sorts(entry["selectable"]) for entry in compiler.stack) or not compiler.stack


def _sorts(statement: Any) -> bool:
    if isinstance(statement, SelectBase):
        return any(getattr(statement, clause, ()) for clause in _SORTING)
    return False


_SORTING = ("_order_by_clauses", "_group_by_clauses", "_distinct")


@compiles(BoundValue, "sqlite")
def _sqlite(element: BoundValue, compiler: SQLCompiler, **kw: Any) -> str:
    if compiler.column_keys is not None:  # compiled to be executed, not to be printed
        runtime_of(compiler.dialect)  # before SQLite says that it has no such function
    bound = _bound_on_sqlite(element, compiler)
    if element.plain is not None:
        bound = func.coalesce(bound, getattr(func, SQLITE_PLAINTEXT)(element.plain), type_=BYTES)
    return compiler.process(bound, **kw)


def _bound_on_sqlite(element: BoundValue, compiler: SQLCompiler) -> ColumnElement[Any]:
    companion = companion_to_verify(element, compiler)
    if not element.key_columns and element.tenant is None and companion is None:
        return element.value
    tags = "".join(str(int(tag)) for tag in element.row_key.tags)
    arguments = list(element.key_columns)
    for marker, column in ((SQLITE_COMPANION, companion), (SQLITE_TENANT, element.tenant)):
        if column is not None:
            tags += marker
            arguments.append(column)
    function = getattr(func, SQLITE_FUNCTION)
    return function(literal_column(f"'{tags}'"), element.value, *arguments, type_=BYTES)  # type: ignore[no-any-return]


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
    return func.coalesce(expression, _NO_BYTES, type_=BYTES)
