"""The companion column: holds the blind-index values of an encrypted column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Table

from vaultdb.crypto.blind_index import EQUALITY, index_message
from vaultdb.crypto.normalise import normaliser
from vaultdb.errors import ConfigurationError, ValueRefused
from vaultdb.orm.indexes import INDEX_SUFFIX
from vaultdb.orm.stored_types import IndexValue

if TYPE_CHECKING:
    from vaultdb.keys.data_key import DataKey
    from vaultdb.orm.types import Encrypted

COMPANION_OF = "vaultdb.companion_of"
"""The key in a companion's `info`: the key of the column that it serves."""


def companion_of(column: Column[Any]) -> Column[Any] | None:
    """Return the companion of an encrypted column of a table, or None when it has no index.

    Raises:
        ConfigurationError: the column was copied without its companion.

    """
    if column.type.index is None:  # type: ignore[attr-defined]
        return None
    for candidate in column.table.columns:
        if candidate.info.get(COMPANION_OF) == column.key:
            return candidate
    raise ConfigurationError(
        f"{column} has an index, but its companion column is missing; copy the whole table with "
        "Table.to_metadata(), or declare the column anew"
    )


def is_companion(column: Any) -> bool:
    """Tell whether a column holds blind-index values."""
    return COMPANION_OF in getattr(column, "info", ())


def add_companion(column: Column[Any]) -> None:
    """Give an encrypted column of a table its companion, unless it is there already."""
    table, index = column.table, column.type.index  # type: ignore[attr-defined]
    if index is None or _has_companion(table, column):
        return
    name = index.name or column.name + INDEX_SUFFIX
    if name in table.columns or name in {other.name for other in table.columns}:
        raise ConfigurationError(
            f"{column} needs the column {name!r} for its index, which {table.fullname} has "
            'already; choose another with Equality(name="...")'
        )
    table.append_column(
        Column(
            name,
            IndexValue(),
            key=name,
            nullable=bool(column.nullable),
            index=True,
            unique=index.unique,
            info={COMPANION_OF: column.key},
        )
    )


def companion_value(column: Column[Any], value: object, keys: Sequence[DataKey]) -> bytes | None:
    """Compute the blind-index value to store beside a value.

    Args:
        column: the encrypted column.
        value: the plaintext, secret; None for NULL.
        keys: the index DEKs of the tenant and keyset, newest first.

    Returns:
        26 bytes, public; None for NULL.

    Raises:
        ValueRefused: the value is not of the column's type.

    """
    if value is None:
        return None
    type_: Encrypted[Any] = column.type  # type: ignore[assignment]
    return keys[0].index_digest(type_.index_domain, EQUALITY, index_input(type_, value))


def index_input(type_: Encrypted[Any], value: object) -> bytes:
    """Return what is authenticated for a value of a column: equal for equal values, secret.

    Raises:
        ValueRefused: the value is not of the column's type; does not show it.

    """
    assert type_.index is not None
    steps = normaliser(type_.index.normalise)
    try:
        canonical = type_.codec.canonical(steps(value) if isinstance(value, str) else value)
        return index_message(type_.type_tag, steps.identifier, canonical)
    except ValueRefused as error:
        refusal = ValueRefused(f"{type_.logical_name or 'indexed value'}: {error}")
    raise refusal


def _has_companion(table: Table, column: Column[Any]) -> bool:
    return any(other.info.get(COMPANION_OF) == column.key for other in table.columns)
