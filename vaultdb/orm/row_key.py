"""The key columns that a value is bound to, in Python and in SQL, byte for byte the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Column, ColumnElement, Table

from vaultdb.crypto.encoding import pack_u32
from vaultdb.crypto.row_binding import (
    FIXED_SIZES,
    KeyTag,
    encode_key_part,
    encode_key_parts,
    row_binding,
)
from vaultdb.errors import ConfigurationError
from vaultdb.orm.key_columns import key_tag
from vaultdb.orm.options import Bind
from vaultdb.orm.row_expression import row_expression, sized_row_expression


@dataclass(frozen=True, slots=True)
class RowKey:
    """The key columns of a table that values are bound to, in declared order.

    Args:
        columns: the columns; none for values that are bound to their column only.
        tags: how each is encoded.

    """

    columns: tuple[Column[Any], ...]
    tags: tuple[KeyTag, ...]

    def encode(self, values: Sequence[object]) -> bytes:
        """Encode the key of one row.

        Args:
            values: one for each of `columns`, none of them None; public.

        Raises:
            ValueRefused: a value is not of its column's type.

        """
        return row_binding(
            [
                (tag, encode_key_part(tag, _typed(tag, value)))
                for tag, value in zip(self.tags, values, strict=True)
            ]
        )

    def encode_all(self, values: Sequence[Sequence[object]]) -> list[bytes]:
        """Encode the keys of several rows; see `encode`.

        Args:
            values: for each of `columns`, its values in all rows; public.

        """
        if len(self.tags) == 1 and self.tags[0] in FIXED_SIZES:
            # All bindings start alike: one integer, UUID or date of the same size.
            tag = self.tags[0]
            head = bytes((1, tag)) + pack_u32(FIXED_SIZES[tag])
            given = [_typed(tag, value) for value in values[0]] if tag is KeyTag.UUID else values[0]
            return [head + part for part in encode_key_parts(tag, given)]
        return [self.encode(key) for key in zip(*values, strict=True)]

    def expression(self, columns: Sequence[ColumnElement[Any]]) -> ColumnElement[bytes]:
        """Build the SQL that gives the same bytes.

        Args:
            columns: `columns` as seen from the FROM element that supplies the value.

        """
        return row_expression(list(zip(self.tags, columns, strict=True)))

    def sized_expression(
        self, columns: Sequence[ColumnElement[Any]]
    ) -> ColumnElement[bytes] | None:
        """Build the SQL that gives the same bytes behind their size, if the size is a constant."""
        return sized_row_expression(list(zip(self.tags, columns, strict=True)))


_row_keys: WeakKeyDictionary[Table, dict[Bind, RowKey]] = WeakKeyDictionary()


def row_key_of(table: Table, bind: Bind = "row") -> RowKey:
    """Return the key columns that values of `table` are bound to.

    Args:
        table: the table, with its foreign keys resolved.
        bind: as declared with the column.

    Raises:
        ConfigurationError: the table has no key that values could be bound to; names the remedy.

    """
    known = _row_keys.setdefault(table, {})
    if bind not in known:
        columns = _columns(table, bind)
        known[bind] = RowKey(columns, tuple(key_tag(column) for column in columns))
    return known[bind]


def _columns(table: Table, bind: Bind) -> tuple[Column[Any], ...]:
    if bind == "column":
        return ()
    key = tuple(table.primary_key.columns)
    if isinstance(bind, tuple):
        return tuple(_named(table, name, key) for name in bind)
    if not key:
        raise ConfigurationError(
            f"table {table.fullname} has no primary key to bind encrypted values to; declare one "
            '(primary_key=True), name a unique key with bind=("id",), or use bind="column"'
        )
    return key


def _named(table: Table, name: str, key: tuple[Column[Any], ...]) -> Column[Any]:
    column = table.columns.get(name)
    if column is None:
        raise ConfigurationError(f"bind= names {name!r}, which is no column of {table.fullname}")
    if key and column not in key:
        raise ConfigurationError(
            f"bind= names {column}, which is not part of the primary key of {table.fullname}; the "
            "key must not change"
        )
    if column.nullable:
        raise ConfigurationError(f"bind= names {column}, which may be NULL; declare nullable=False")
    return column


def _typed(tag: KeyTag, value: object) -> object:
    # Uuid(as_uuid=False) columns hold text in Python and 16 bytes on the server.
    return UUID(value) if tag is KeyTag.UUID and isinstance(value, str) else value
