"""What happens when a class with encrypted columns is mapped."""

from __future__ import annotations

import inspect
import sys
import typing
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Table, event
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import ColumnProperty, Mapped, Mapper

from vaultdb.errors import ConfigurationError
from vaultdb.orm.adoption_check import check_adoption
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.companion import is_companion
from vaultdb.orm.row_key import row_key_of
from vaultdb.orm.types import Encrypted, is_encrypted

_TRACKED: dict[type, type[MutableDict[Any, Any] | MutableList[Any]]] = {
    dict: MutableDict,
    list: MutableList,
}


@event.listens_for(Mapper, "instrument_class")
def _leave_companions_out(mapper: Mapper[Any], _class: type) -> None:
    """Keep companions unmapped: a merge would write stale index values from an attribute."""
    table = mapper.local_table
    companions = {column.key for column in table.columns if is_companion(column)}
    if companions:
        mapper.exclude_properties = set(mapper.exclude_properties or ()) | companions


@event.listens_for(Mapper, "mapper_configured")
def _check(mapper: Mapper[Any], class_: type) -> None:
    """Check what can only be checked when all tables and classes are there."""
    if isinstance(mapper.local_table, Table):
        _check_table(mapper.local_table)
    for attribute in mapper.column_attrs:
        column: Any = attribute.columns[0]
        if attribute.parent is mapper and isinstance(column.type, Encrypted):
            _check_annotation(class_, attribute, column)
            _track_changes(class_, attribute, column.type)


def _check_table(table: Table) -> None:
    for column in encrypted_columns(table):
        type_: Any = column.type
        row_key_of(table, type_.bind)
        _check_tenant_column(column, type_.tenant_column)
        _check_subject(column, type_.subject)
        check_adoption(column)


def _check_tenant_column(column: Any, name: str | None) -> None:
    if name is not None and name not in column.table.columns:
        raise ConfigurationError(
            f"{column} declares tenant_column={name!r}, which is no column of "
            f"{column.table.fullname}"
        )


def _check_subject(column: Any, name: str | None) -> None:
    there = None if name is None else column.table.columns.get(name)
    if name is not None and (there is None or is_encrypted(there)):
        raise ConfigurationError(
            f"{column} declares subject={name!r}, which is no column in the clear of "
            f"{column.table.fullname}"
        )


def _track_changes(class_: type, attribute: ColumnProperty[Any], type_: Encrypted[Any]) -> None:
    kind: Any = typing.get_origin(type_.python_type) or type_.python_type
    mutable = _TRACKED.get(kind)
    if mutable is not None:
        mutable.associate_with_attribute(getattr(class_, attribute.key))


def _check_annotation(class_: type, attribute: ColumnProperty[Any], column: Any) -> None:
    """Compare the annotation's `None` with the column's `nullable`."""
    annotation = _mapped_annotation(class_, attribute.key)
    if annotation is None:
        return
    optional = type(None) in typing.get_args(annotation)
    if optional and not column.nullable:
        raise ConfigurationError(
            f"{class_.__name__}.{attribute.key} is annotated as optional, but {column} is NOT NULL:"
            " declare it with nullable=True, or take None out of the annotation"
        )
    if not optional and column.nullable:
        raise ConfigurationError(
            f"{class_.__name__}.{attribute.key} is not annotated as optional, but {column} may be "
            "NULL: annotate it as Mapped[... | None], or take nullable=True out"
        )


def _mapped_annotation(class_: type, name: str) -> Any:
    """Return what stands in `Mapped[...]`, or None when that cannot be told."""
    for base in class_.__mro__:
        if name in inspect.get_annotations(base):
            annotation = _evaluated(base, name)
            arguments = typing.get_args(annotation)
            is_mapped = isinstance(typing.get_origin(annotation), type) and issubclass(
                typing.get_origin(annotation), Mapped
            )
            return arguments[0] if is_mapped and arguments else None
    return None


def _evaluated(base: type, name: str) -> Any:
    module = sys.modules.get(base.__module__)
    holder = SimpleNamespace(__annotations__={name: base.__annotations__[name]})
    try:
        hints = typing.get_type_hints(holder, vars(module) if module else {}, dict(vars(base)))
    except (NameError, TypeError, AttributeError):  # names of a function's scope, for example
        return None
    return hints[name]
