"""The companion columns: hold the blind-index values of an encrypted column.

There is one, which is searched; and while the index is re-keyed a second one, which the incoming
index key fills until it takes the first one's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column

from vaultdb.crypto.blind_index import EQUALITY, index_message
from vaultdb.crypto.normalise import normaliser
from vaultdb.errors import ConfigurationError, ValueRefused
from vaultdb.keys.index_keys import incoming_index_key, writing_index_key
from vaultdb.orm.indexes import INDEX_SUFFIX, Equality
from vaultdb.orm.stored_types import IndexValue

if TYPE_CHECKING:
    from vaultdb.keys.data_key import DataKey
    from vaultdb.orm.types import Encrypted

COMPANION_OF = "vaultdb.companion_of"
"""The key in a companion's `info`: the key of the column that it serves."""

SECOND_COMPANION_OF = "vaultdb.second_companion_of"
"""The same in a second companion."""


def companion_of(column: Column[Any]) -> Column[Any] | None:
    """Return the companion of an encrypted column of a table, or None when it has no index.

    Raises:
        ConfigurationError: the column was copied without its companion.

    """
    if column.type.index is None:  # type: ignore[attr-defined]
        return None
    return _find(column, COMPANION_OF)


def second_companion_of(column: Column[Any]) -> Column[Any] | None:
    """Return the second companion, or None when the index is not being re-keyed.

    Raises:
        ConfigurationError: as `companion_of`.

    """
    index: Equality | None = column.type.index  # type: ignore[attr-defined]
    if index is None or index.rekey_into is None:
        return None
    return _find(column, SECOND_COMPANION_OF)


def companions_of(column: Column[Any]) -> tuple[Column[Any], ...]:
    """Return the companions of an encrypted column: none, one, or two while it is re-keyed."""
    found = (companion_of(column), second_companion_of(column))
    return tuple(each for each in found if each is not None)


def is_companion(column: Any) -> bool:
    """Tell whether a column holds blind-index values."""
    return served_by(column) is not None


def served_by(column: Any) -> str | None:
    """Return the key of the column that a companion serves, None when it is no companion."""
    info = getattr(column, "info", {})
    key: str | None = info.get(COMPANION_OF) or info.get(SECOND_COMPANION_OF)
    return key


def add_companion(column: Column[Any]) -> None:
    """Give an encrypted column of a table its companions, unless they are there already."""
    index: Equality | None = column.type.index  # type: ignore[attr-defined]
    if index is None:
        return
    name = index.name or column.name + INDEX_SUFFIX
    rekeying = index.rekey_into is not None
    # Releases from before do not fill the second one, those from after no longer the first.
    _add(column, index, name, COMPANION_OF, nullable=rekeying or bool(column.nullable))
    if index.rekey_into is not None:
        _add(column, index, index.rekey_into, SECOND_COMPANION_OF, nullable=True)


def _find(column: Column[Any], mark: str) -> Column[Any]:
    for candidate in column.table.columns:
        if candidate.info.get(mark) == column.key:
            return candidate
    raise ConfigurationError(
        f"{column} has an index, but its companion column is missing; copy the whole table with "
        "Table.to_metadata(), or declare the column anew"
    )


def _add(column: Column[Any], index: Equality, name: str, mark: str, *, nullable: bool) -> None:
    table = column.table
    if any(other.info.get(mark) == column.key for other in table.columns):
        return
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
            nullable=nullable,
            index=True,
            unique=index.unique,
            info={mark: column.key},
        )
    )


def companion_value(column: Column[Any], value: object, keys: Sequence[DataKey]) -> bytes | None:
    """Compute the blind-index value to store beside a value.

    Args:
        column: the encrypted column.
        value: the plaintext, secret; None for NULL.
        keys: the index DEKs of the tenant and keyset, newest first; the one that writes is used.

    Returns:
        26 bytes, public; None for NULL.

    Raises:
        ValueRefused: the value is not of the column's type.

    """
    if value is None:
        return None
    type_: Encrypted[Any] = column.type  # type: ignore[assignment]
    key = writing_index_key(keys)
    return key.index_digest(type_.index_domain, EQUALITY, index_input(type_, value))


def companion_values(
    column: Column[Any], value: object, keys: Sequence[DataKey]
) -> tuple[bytes | None, bytes | None]:
    """Compute the values of both companions: that of today's key, and that of the incoming one.

    Args:
        column: the encrypted column.
        value: the plaintext, secret; None for NULL.
        keys: the index DEKs of the tenant and keyset, newest first.

    Raises:
        ValueRefused: the value is not of the column's type.

    """
    if value is None:
        return None, None
    type_: Encrypted[Any] = column.type  # type: ignore[assignment]
    message = index_input(type_, value)
    today, incoming = writing_index_key(keys), incoming_index_key(keys)
    first = today.index_digest(type_.index_domain, EQUALITY, message)
    if incoming is today:
        return first, first
    return first, incoming.index_digest(type_.index_domain, EQUALITY, message)


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
