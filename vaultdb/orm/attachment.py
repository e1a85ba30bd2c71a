"""What happens when an encrypted column is put into a table."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from sqlalchemy import Column, Index, MetaData, Table, TypeDecorator, UniqueConstraint, event
from sqlalchemy.schema import PrimaryKeyConstraint

from vaultdb.errors import ConfigurationError
from vaultdb.orm.adoption import note_adoption
from vaultdb.orm.companion import add_companion
from vaultdb.orm.naming import default_logical_name
from vaultdb.orm.options import REFUSED_ARGUMENTS
from vaultdb.orm.types import Encrypted

_under_construction: WeakSet[Table] = WeakSet()
"""Tables that do not have all columns of their declaration yet."""


def encrypted_columns(table: Table) -> list[Column[Any]]:
    """Return the encrypted columns of a table, in order."""
    return [column for column in table.columns if isinstance(column.type, Encrypted)]


def _logical_name(column: Column[Any]) -> str | None:
    return column.type.logical_name if isinstance(column.type, Encrypted) else None


@event.listens_for(Column, "after_parent_attach")
def _name_type(column: Column[Any], table: Any) -> None:
    """Give the column its own type, which knows its logical name."""
    if not isinstance(table, Table):
        return
    _refuse_wrapped(column)
    if not isinstance(column.type, Encrypted):
        return
    _refuse_contradictions(column)
    column.type = column.type.named(default_logical_name(table, column))
    _refuse_same_name(column, table)
    note_adoption(column)
    if table not in _under_construction:
        add_companion(column)


@event.listens_for(Table, "before_parent_attach")
def _begin(table: Table, _metadata: MetaData) -> None:
    _under_construction.add(table)


@event.listens_for(Table, "after_parent_attach")
def _complete(table: Table, _metadata: MetaData) -> None:
    """Add companions once all columns are there: a copied table brings its own."""
    _under_construction.discard(table)
    for column in encrypted_columns(table):
        add_companion(column)


@event.listens_for(Index, "after_parent_attach")
@event.listens_for(UniqueConstraint, "after_parent_attach")
@event.listens_for(PrimaryKeyConstraint, "after_parent_attach")
def _refuse_index(index: Any, table: Any) -> None:
    """Refuse what compares stored bytes, which differ for equal values."""
    if not isinstance(table, Table):
        return
    for column in index.columns:
        if isinstance(column.type, Encrypted):
            raise ConfigurationError(
                f"{column} is encrypted, and {_with_article(index)} over it would compare "
                "ciphertext; declare the column with index=Equality(), or Equality(unique=True)"
            )


def _with_article(index: Any) -> str:
    return "an Index" if isinstance(index, Index) else f"a {type(index).__name__}"


def _refuse_same_name(column: Column[Any], table: Table) -> None:
    """Refuse two columns of one name in one row: their values could be swapped unnoticed."""
    name = _logical_name(column)
    for other in encrypted_columns(table):
        if other is not column and _logical_name(other) == name:
            raise ConfigurationError(
                f"{column} and {other} have one logical name, {name}, so that their values could "
                "be exchanged unnoticed; declare another logical_name="
            )


def _refuse_wrapped(column: Column[Any]) -> None:
    """Refuse Encrypted within another type, which hides it: sorting would take ciphertext."""
    type_: Any = column.type
    inner = [getattr(type_, "item_type", None), *getattr(type_, "_variant_mapping", {}).values()]
    if isinstance(type_, TypeDecorator):
        inner.append(type_.impl_instance)
    if any(isinstance(each, Encrypted) for each in inner):
        raise ConfigurationError(
            f"{column} has Encrypted within {type(type_).__name__}: declare the column as "
            "Encrypted(...) itself; a list is Encrypted(list), other values are converted in "
            "Python"
        )


def _refuse_contradictions(column: Column[Any]) -> None:
    contradictions = {
        "unique": column.unique,
        "index": column.index,
        "primary_key": column.primary_key,
        "server_default": column.server_default is not None,
        "server_onupdate": column.server_onupdate is not None,
        "autoincrement": column.autoincrement is True,
    }
    for argument, given in contradictions.items():
        if given:
            raise ConfigurationError(
                f"{column} is encrypted and cannot have {argument}=: {REFUSED_ARGUMENTS[argument]}"
            )
    if column.foreign_keys:
        raise ConfigurationError(
            f"{column} is encrypted and cannot be a foreign key: the server compares ciphertext"
        )
    for argument in ("default", "onupdate"):
        default = getattr(column, argument)
        if default is not None and not (default.is_scalar or default.is_callable):
            raise ConfigurationError(
                f"{column} is encrypted and cannot have an SQL expression as {argument}=: the "
                "server cannot encrypt; give a value or a Python function"
            )
