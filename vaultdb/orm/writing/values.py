"""The values of one table in an INSERT or UPDATE, brought into one row dictionary per row.

SQLAlchemy accepts them in parameter sets, in `values()` as literals, named binds or expressions, and
as several rows in one `values()`. Here the encrypted columns and the key columns, and nothing
else, end up in rows by column key; the statement loses what was moved.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import util
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BindParameter, ClauseElement, Null

from vaultdb.errors import StatementRefused

if TYPE_CHECKING:
    from vaultdb.orm.writing.write import Row, Write

MISSING: Any = object()


def column_key(write: Write, name: Any) -> str | None:
    """Return the key of the target's column that a key of `values()` means, or None."""
    if isinstance(name, str):
        return name
    table = getattr(name, "table", None)
    if table is None or (table._deannotate() if table._annotations else table) is not write.table.table:
        return None
    key: str = name.key
    return key


def inline_values(write: Write) -> dict[str, Any]:
    """Return what `values()` says of the target's columns, by column key."""
    found: dict[str, Any] = {}
    for name, value in _pairs(write.statement):
        key = column_key(write, name)
        if key is not None:
            found[key] = value
    return found


def resolve(value: Any, row: Row, key: str) -> Any:
    """Return what one row gets: a plain value, or an SQL expression.

    SQLAlchemy names an anonymous bind of `values()` after its column, so that a parameter of that
    name replaces its value; a named one takes the parameter of its own name.
    """
    if isinstance(value, Null):
        return None
    if not isinstance(value, BindParameter):
        return value
    given = row.get(key if value.unique else value.key, MISSING)
    if given is not MISSING:
        return given
    if value.required:
        raise StatementRefused(f"a value is required for bind parameter {value.key!r}")
    return value.effective_value


def move_into_rows(write: Write, inline: dict[str, Any], keys: Iterable[str]) -> None:
    """Move the values of these columns from `values()` into each parameter set."""
    moved = [key for key in keys if key in inline]
    if not moved:
        return
    names = set()
    for row in write.parameters:
        row.update({key: resolve(inline[key], row, key) for key in moved})
    for key in moved:
        value = inline[key]
        if isinstance(value, BindParameter) and not value.unique:
            names.add(value.key)
    _drop(write, set(moved))
    drop_unused_binds(write, names - set(moved))


def drop_unused_binds(write: Write, names: set[str]) -> None:
    """Take parameters out that held a plaintext, unless the statement binds them elsewhere."""
    if names:
        names -= set(bind_names(write.statement))
    for name in names:
        for row in write.parameters:
            row.pop(name, None)


def bind_names(statement: Any) -> list[str]:
    """Return the names of all named binds in a statement."""
    return [
        element.key
        for element in visitors.iterate(statement)
        if isinstance(element, BindParameter) and not element.unique
    ]


def is_expression(value: Any) -> bool:
    """Return whether a value is SQL, so that its outcome is not known here."""
    return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")


def _pairs(statement: Any) -> list[tuple[Any, Any]]:
    ordered = getattr(statement, "_ordered_values", None)  # SQLAlchemy 2.0
    return list((statement._values or {}).items() if ordered is None else ordered)


def _drop(write: Write, keys: set[str]) -> None:
    """Take columns out of `values()`; in `ordered_values()` each keeps its place.

    There an anonymous bind stays behind, which takes the parameter with the name of its column.
    """
    statement = write.statement = write.statement._clone()
    before = _pairs(statement)
    if getattr(statement, "_ordered_values", None) is not None:
        statement._ordered_values = _with_places(write, before, keys)
    elif getattr(statement, "_maintain_values_ordering", False):
        statement._values = util.immutabledict(_with_places(write, before, keys))
    else:
        left = [(name, value) for name, value in before if column_key(write, name) not in keys]
        statement._values = util.immutabledict(left) or None


def _with_places(
    write: Write, pairs: list[tuple[Any, Any]], keys: set[str]
) -> list[tuple[Any, Any]]:
    columns = write.table.table.c
    return [
        (name, BindParameter(None, None, type_=columns[key].type, unique=True))
        if (key := column_key(write, name)) in keys and key is not None
        else (name, value)
        for name, value in pairs
    ]
