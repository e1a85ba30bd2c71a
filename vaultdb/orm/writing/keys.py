"""The row bindings of rows that are inserted: their keys, complete and encoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any

from vaultdb.errors import StatementRefused
from vaultdb.orm.writing.columns import names_of
from vaultdb.orm.writing.defaults import fill_in, is_python_side
from vaultdb.orm.writing.prefetch import fetch_keys
from vaultdb.orm.writing.values import is_expression

if TYPE_CHECKING:
    from vaultdb.orm.row_key import RowKey
    from vaultdb.orm.writing.table import EncryptedColumn
    from vaultdb.orm.writing.write import Row, Write

Bindings = Mapping["RowKey | None", Sequence[bytes]]
"""For each way that columns of a table are bound, the row binding of each row."""


def complete_keys(write: Write, rows: Sequence[Row]) -> None:
    """Give each row a value for each key column: defaults, then what the server makes."""
    columns = write.table.key_columns
    missing = [column for column in columns if column.key not in rows[0]]
    fill_in(write, rows, [column for column in missing if is_python_side(column.default)])
    unknown = [
        column
        for column in columns
        if column.key not in rows[0] or is_expression(rows[0][column.key])
    ]
    if unknown:
        fetch_keys(write, rows, unknown)


def encode_keys(
    columns: Iterable[EncryptedColumn], values: Sequence[Mapping[str, Any]]
) -> dict[RowKey | None, list[bytes]]:
    """Encode the key of each row, in each way that these columns are bound.

    Args:
        columns: the encrypted columns that are written.
        values: the key columns' values of each row, by column key.

    Raises:
        StatementRefused: a key is NULL or not given.
        ValueRefused: a key is not of its column's type.

    """
    found: dict[RowKey | None, list[bytes]] = {}
    for row_key in dict.fromkeys(column.row_key for column in columns):
        if row_key is not None:
            found[row_key] = _encode(row_key, values)
    return found


def _encode(row_key: RowKey, values: Sequence[Mapping[str, Any]]) -> list[bytes]:
    names = [column.key for column in row_key.columns]
    parts = [[row.get(name) for row in values] for name in names]
    if any(NoneType in set(map(type, each)) for each in parts):
        raise StatementRefused(
            f"{names_of(row_key.columns)} must be given in each parameter set, and not be NULL: "
            "encrypted values are bound to the key"
        )
    return row_key.encode_all(parts)
