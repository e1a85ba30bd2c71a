"""The values of one table in an INSERT or UPDATE, brought into one dictionary per row.

SQLAlchemy accepts them in parameter sets, in `values()` as literals, named binds or expressions,
and as several rows in one `values()`. Here the encrypted columns and the key columns, and nothing
else, end up in rows by column key; the statement loses what was moved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BindParameter, ClauseElement, Null

from vaultdb.errors import StatementRefused
from vaultdb.orm.writing import dml

if TYPE_CHECKING:
    from vaultdb.orm.writing.write import Row, Write

MISSING: Any = object()


def column_key(write: Write, name: Any) -> str | None:
    """Return the key of the target's column that a key of `values()` means, or None."""
    if isinstance(name, str):
        return name
    table = getattr(name, "table", None)
    if table is None or dml.without_annotations(table) is not write.table.table:
        return None
    key: str = name.key
    return key


def inline_values(write: Write) -> dict[str, Any]:
    """Return what `values()` says of the target's columns, by column key."""
    named = ((column_key(write, name), value) for name, value in dml.inline_pairs(write.statement))
    return {key: value for key, value in named if key is not None}


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


def move_into_rows(write: Write, inline: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Move the values of these columns from `values()` into each parameter set."""
    moved = {key: inline[key] for key in keys if key in inline}
    if not moved:
        return
    for row in write.parameters:
        row.update({key: resolve(value, row, key) for key, value in moved.items()})
    _take_out(write, moved)
    drop_unused_binds(write, moved.values(), keep=moved)


def drop_unused_binds(write: Write, values: Iterable[Any], keep: Collection[str]) -> None:
    """Take parameters out that held a plaintext, unless the statement binds them elsewhere."""
    names = {bind.key for bind in values if isinstance(bind, BindParameter) and not bind.unique}
    names -= set(keep)
    if not names:
        return
    for name in names - set(bind_names(write.statement)):
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
    return is_expression_type(type(value))


def is_expression_type(type_: type[Any]) -> bool:
    """Return whether values of this type are SQL."""
    return issubclass(type_, ClauseElement) or hasattr(type_, "__clause_element__")


def _take_out(write: Write, keys: Collection[str]) -> None:
    """Take columns out of `values()`; in `ordered_values()` each leaves a bind in its place."""
    pairs = dml.inline_pairs(write.statement)
    if dml.keeps_order(write.statement):
        left = [(name, _place(write, name, value, keys)) for name, value in pairs]
    else:
        left = [pair for pair in pairs if column_key(write, pair[0]) not in keys]
    write.statement = dml.with_inline_pairs(write.statement, left)


def _place(write: Write, name: Any, value: Any, keys: Collection[str]) -> Any:
    key = column_key(write, name)
    if key is None or key not in keys:
        return value
    return dml.anonymous_bind(write.table.table.c[key].type)
