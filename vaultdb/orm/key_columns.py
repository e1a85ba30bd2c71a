"""Which columns can be the key that values are bound to."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import CHAR, Column, Date, Enum, Integer, LargeBinary, String, TypeDecorator, Uuid
from sqlalchemy.types import TypeEngine

from vaultdb.crypto.row_binding import KeyTag
from vaultdb.errors import ConfigurationError

_REMEDY = 'bind to other columns with bind=("...",), or to none with bind="column"'

_DETERMINISTIC = re.compile(
    r"C|POSIX|ucs_basic|default|unicode|pg_[a-z_0-9]+|.+-x-icu"
    r"|[a-z]{2,3}(_[A-Z]{2})?(\.[A-Za-z0-9-]+)?(@\w+)?"
)
"""Names of collations that come with PostgreSQL or the system; all of them are deterministic."""

_VALUE_HOOKS = (
    "process_bind_param",
    "process_result_value",
    "bind_processor",
    "result_processor",
    "bind_expression",
    "column_expression",
)


def key_tag(column: Column[Any]) -> KeyTag:
    """Tell how a key column is encoded.

    Raises:
        ConfigurationError: what Python sends is not for certain what the server compares and
            returns, or the server may change it; names the remedy.

    """
    _refuse_changing(column)
    variants = getattr(column.type, "_variant_mapping", {}).values()
    tags = [_tag_of(column, type_) for type_ in (column.type, *variants)]
    if len(set(tags)) > 1:
        raise _refusal(column, f"has the type {column.type!r}, which differs between dialects")
    return tags[0]


def _tag_of(column: Column[Any], declared: TypeEngine[Any]) -> KeyTag:
    type_ = _stored_type(column, declared)
    if isinstance(type_, Integer):
        return KeyTag.INTEGER
    if isinstance(type_, Uuid):
        return KeyTag.UUID
    if isinstance(type_, Date):
        return KeyTag.DATE
    if isinstance(type_, LargeBinary):
        return KeyTag.BYTES
    if isinstance(type_, String):
        _refuse_collation(column, type_)
        return KeyTag.TEXT
    raise _refusal(column, f"has the type {type_!r}, whose bytes differ between Python and server")


def _stored_type(column: Column[Any], type_: TypeEngine[Any]) -> TypeEngine[Any]:
    while isinstance(type_, TypeDecorator) and keeps_values(type_):
        type_ = type_.impl_instance
    if isinstance(type_, TypeDecorator):
        raise _refusal(column, f"has the type {type_!r}, which changes values on their way")
    if isinstance(type_, CHAR | Enum) or type_.__visit_name__ == "CITEXT":
        raise _refusal(column, f"has the type {type_!r}, which the server compares by other rules")
    if isinstance(type_, Uuid) and not type_.native_uuid:
        raise _refusal(column, "is a UUID stored as text; use Uuid() as it is")
    return type_


def keeps_values(type_: TypeDecorator[Any]) -> bool:
    """Return whether values pass a type decorator unchanged, in both directions."""
    return all(getattr(type(type_), hook) is getattr(TypeDecorator, hook) for hook in _VALUE_HOOKS)


def is_deterministic(type_: TypeEngine[Any]) -> bool:
    """Tell whether texts of a type are equal only when their bytes are."""
    collation: str | None = getattr(type_, "collation", None)
    return collation is None or _DETERMINISTIC.fullmatch(collation) is not None


def _refuse_collation(column: Column[Any], type_: String) -> None:
    if not is_deterministic(type_):
        raise _refusal(
            column,
            f"has the collation {type_.collation!r}, under which different texts may be equal",
        )


def _refuse_changing(column: Column[Any]) -> None:
    if column.computed is not None:
        raise _refusal(column, "is computed by the server")
    if column.identity is not None and column.identity.always:
        raise _refusal(
            column,
            "is GENERATED ALWAYS, so it is not known before the insert; use Identity() without "
            "always=True",
            remedy="",
        )
    for foreign_key in column.foreign_keys:
        if (foreign_key.onupdate or "NO ACTION").upper() not in ("NO ACTION", "RESTRICT"):
            raise _refusal(
                column,
                f"is a foreign key with ON UPDATE {foreign_key.onupdate}, which changes it under "
                "the values; leave onupdate= out",
                remedy="",
            )


def _refusal(column: Column[Any], reason: str, *, remedy: str = _REMEDY) -> ConfigurationError:
    text = f"encrypted values cannot be bound to {column}: it {reason}"
    return ConfigurationError(f"{text}; {remedy}" if remedy else text)
