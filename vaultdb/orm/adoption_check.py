"""Which plaintext columns can be written and read as values of an encrypted one."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, get_origin
from uuid import UUID

from sqlalchemy import JSON, Column, TypeDecorator

from vaultdb.errors import ConfigurationError
from vaultdb.orm.adoption import adopted_by, plaintext_of
from vaultdb.orm.key_columns import keeps_values
from vaultdb.orm.types import is_encrypted

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

_READABLE: Final = frozenset({str, bytes, int, float, bool, Decimal, date, datetime, time, UUID})


def check_adoption(column: Column[Any]) -> None:
    """Refuse a plaintext column that could not be written and read as the value that it is.

    Raises:
        ConfigurationError: says why, and the remedy.

    """
    type_: Any = column.type
    if type_.options.plaintext == "forbid":
        return
    plain = adopted_by(column)
    if type_.options.plaintext == "empty":
        if not plain.nullable:
            raise ConfigurationError(f"{plain} is to be emptied: declare it with nullable=True")
        return
    if is_encrypted(plain):
        raise _refusal(column, plain, "it is encrypted itself")
    if plain.primary_key:
        raise _refusal(column, plain, "it is the primary key")
    for argument in ("computed", "identity", "onupdate", "server_onupdate"):
        if getattr(plain, argument) is not None:
            raise _refusal(column, plain, f"something else writes it ({argument})")
    _check_type(column, plain, type_.python_type)
    _refuse_second(column, plain)


def is_readable(python_type: Any) -> bool:
    """Tell whether values of a type can be read from a plaintext column."""
    kind = get_origin(python_type) or python_type
    is_enum = isinstance(kind, type) and issubclass(kind, Enum)
    return kind in _READABLE or kind in {dict, list} or is_enum


def _check_type(column: Column[Any], plain: Column[Any], python_type: Any) -> None:
    if not is_readable(python_type):
        raise _refusal(column, plain, f"a {python_type.__qualname__} cannot be read from it")
    stored = _stored_type(column, plain)
    kind = get_origin(python_type) or python_type
    if kind in {dict, list}:
        if isinstance(stored, JSON):
            return
    elif _python_type(stored) is kind:
        return
    raise _refusal(
        column,
        plain,
        f"its type is {plain.type!r}, and that of the values {python_type.__qualname__}",
    )


def _stored_type(column: Column[Any], plain: Column[Any]) -> TypeEngine[Any]:
    type_ = plain.type
    while isinstance(type_, TypeDecorator) and keeps_values(type_):
        type_ = type_.impl_instance
    if isinstance(type_, TypeDecorator):
        raise _refusal(column, plain, f"its type is {plain.type!r}, which changes values")
    return type_


def _python_type(stored: TypeEngine[Any]) -> Any:
    if stored.__visit_name__ == "CITEXT":
        return None  # the server takes Ada for ADA
    try:
        return stored.python_type
    except NotImplementedError:
        return None


def _refuse_second(column: Column[Any], plain: Column[Any]) -> None:
    for other in column.table.columns:
        if other is not column and is_encrypted(other) and plaintext_of(other) is plain:
            raise _refusal(column, plain, f"{other} adopts it too")


def _refusal(column: Column[Any], plain: Column[Any], reason: str) -> ConfigurationError:
    return ConfigurationError(
        f'{column} cannot adopt {plain} with plaintext="allow": {reason}; declare both with the '
        'same type, or declare plaintext="forbid", encrypt the rows while nobody writes them, and '
        "use the column then"
    )
