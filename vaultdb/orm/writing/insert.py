"""INSERT: complete the rows' keys, encrypt their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vaultdb.errors import StatementRefused
from vaultdb.orm.writing.columns import check_same_columns, refuse_companions
from vaultdb.orm.writing.defaults import fill_in
from vaultdb.orm.writing.encryption import encrypt_rows, refuse_expressions
from vaultdb.orm.writing.keys import complete_keys, encode_keys
from vaultdb.orm.writing.values import column_key, inline_values, move_into_rows, resolve

if TYPE_CHECKING:
    from vaultdb.orm.writing.table import EncryptedColumn
    from vaultdb.orm.writing.write import Row, Write


def encrypt_insert(write: Write) -> Any:
    """Return the statement to execute; `write.parameters` are encrypted in place.

    Raises:
        StatementRefused: INSERT FROM SELECT into encrypted columns, SQL as an encrypted value, or a
            key that cannot be known beforehand.

    """
    if write.statement._select_names:
        _refuse_from_select(write)
        return write.statement
    if write.statement._multi_values:
        rows = _rows_of_values(write)
        _encrypt(write, rows, {})
        write.statement = write.statement._clone()
        write.statement._multi_values = (rows,)
    else:
        _encrypt(write, write.parameters, inline_values(write))
    return write.statement


def _encrypt(write: Write, rows: Sequence[Row], inline: dict[str, Any]) -> None:
    table = write.table
    refuse_companions(table, rows[0], inline)
    move_into_rows(write, inline, table.columns)
    given = [column for column in table.columns.values() if column.key in rows[0]]
    check_same_columns(rows, given, table.columns)
    refuse_expressions(rows, given)
    defaulted = [
        column
        for column in table.columns.values()
        if column.key not in rows[0] and column.column.default is not None
    ]
    if any(column.row_key for column in defaulted) or _holds_bound_value(rows, given):
        move_into_rows(write, inline, [column.key for column in table.key_columns])
        complete_keys(write, rows)
        bound = True
    else:
        bound = False
    fill_in(write, rows, [column.column for column in defaulted])
    written = given + defaulted
    encrypt_rows(write, rows, written, encode_keys(written, rows) if bound else {})


def _holds_bound_value(rows: Sequence[Row], columns: Sequence[EncryptedColumn]) -> bool:
    keys = [column.key for column in columns if column.row_key is not None]
    return any(row[key] is not None for row in rows for key in keys)


def _rows_of_values(write: Write) -> list[Row]:
    """Return the rows of `values([...])` as dictionaries by column key."""
    parameters = write.parameters[0]
    rows: list[Row] = []
    for group in write.statement._multi_values:
        for given in group:
            named = given if isinstance(given, Mapping) else _by_position(write, given)
            row = {_name(write, name): value for name, value in named.items()}
            rows.append(
                {key: resolve(value, parameters, key) for key, value in row.items()}
            )
    return rows


def _by_position(write: Write, values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip((column.key for column in write.table.table.c), values, strict=False))


def _name(write: Write, name: Any) -> str:
    key = column_key(write, name)
    if key is None:
        raise StatementRefused(f"{name} is not a column of {write.table.table.fullname}")
    return key


def _refuse_from_select(write: Write) -> None:
    table = write.table
    names = {column_key(write, name) for name in write.statement._select_names}
    for key, column in table.columns.items():
        index = column.companion
        defaulted = write.statement.include_insert_from_select_defaults and column.column.default
        if key in names or (index is not None and index.key in names) or defaulted:
            raise StatementRefused(
                f"INSERT FROM SELECT cannot write {column.column}, which is encrypted for each row: "
                "read the rows and insert them, or leave the column out"
            )
