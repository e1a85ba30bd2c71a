"""Defaults in a flush: set on the object, which then has them without a SELECT.

What the interceptor evaluates, SQLAlchemy does not know of: it would leave the attribute of a new
object empty. So for mapped objects the same defaults are evaluated before, and are attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import event, inspect
from sqlalchemy.orm import Mapper

from vaultdb.orm.writing.defaults import DefaultContext, evaluate, is_python_side
from vaultdb.orm.writing.plaintext_attributes import follow_changed, follow_new
from vaultdb.orm.writing.table import encrypted_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Column
    from sqlalchemy.engine import Connection

    from vaultdb.orm.writing.write import Row

Attributes = tuple[tuple[str, "Column[Any]"], ...]

_on_insert: WeakKeyDictionary[Mapper[Any], Attributes] = WeakKeyDictionary()
_on_update: WeakKeyDictionary[Mapper[Any], Attributes] = WeakKeyDictionary()


def follow_flushes() -> None:
    """Listen to all mappers; a second call changes nothing."""
    for name, listener in (("before_insert", _before_insert), ("before_update", _before_update)):
        if not event.contains(Mapper, name, listener):
            event.listen(Mapper, name, listener)


def _before_insert(mapper: Mapper[Any], connection: Connection, target: Any) -> None:
    attributes = _on_insert.get(mapper)
    if attributes is None:
        attributes = _on_insert[mapper] = _defaulted(mapper)
    if attributes:
        # None is not given: SQLAlchemy leaves it out of the INSERT, too, so that a default applies.
        missing = [(key, c) for key, c in attributes if target.__dict__.get(key) is None]
        _fill_in(mapper, connection, target, missing, isinsert=True)
    follow_new(mapper, target)


def _before_update(mapper: Mapper[Any], connection: Connection, target: Any) -> None:
    attributes = _on_update.get(mapper)
    if attributes is None:
        attributes = _on_update[mapper] = _renewed(mapper)
    if attributes:
        changed = {attr.key for attr in inspect(target).attrs if attr.history.has_changes()}
        tables = {column.table for key in changed for column in _columns(mapper, key)}
        due = [(key, c) for key, c in attributes if key not in changed and c.table in tables]
        _fill_in(mapper, connection, target, due, isinsert=False)
    follow_changed(mapper, target)


def _fill_in(
    mapper: Mapper[Any],
    connection: Connection,
    target: Any,
    attributes: Iterable[tuple[str, Column[Any]]],
    *,
    isinsert: bool,
) -> None:
    for key, column in attributes:
        default = column.default if isinsert else column.onupdate
        context = DefaultContext(connection, column, isinsert=isinsert)
        context.current_parameters = _current_parameters(mapper, target)
        setattr(target, key, evaluate(default, context))


def _current_parameters(mapper: Mapper[Any], target: Any) -> Row:
    values = target.__dict__
    return {
        column.key: values[attribute.key]
        for attribute in mapper.column_attrs
        if attribute.key in values
        for column in attribute.columns
    }


def _columns(mapper: Mapper[Any], key: str) -> Iterable[Any]:
    attribute = mapper.column_attrs.get(key)
    return () if attribute is None else attribute.columns


def _defaulted(mapper: Mapper[Any]) -> Attributes:
    return tuple(
        (attribute.key, column)
        for attribute, column, table in _of_encrypted_tables(mapper)
        if (column.key in table.columns and is_python_side(column.default))
        or any(column is each for each in table.context_columns)
    )


def _renewed(mapper: Mapper[Any]) -> Attributes:
    return tuple(
        (attribute.key, column)
        for attribute, column, table in _of_encrypted_tables(mapper)
        if (column.key in table.columns and is_python_side(column.onupdate))
        or any(column is each for each in table.renewing_columns)
    )


def _of_encrypted_tables(mapper: Mapper[Any]) -> Iterable[tuple[Any, Any, Any]]:
    for attribute in mapper.column_attrs:
        for column in attribute.columns:
            table = encrypted_table(getattr(column, "table", None))
            if table is not None:
                yield attribute, column, table
