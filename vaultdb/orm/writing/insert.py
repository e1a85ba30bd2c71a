"""INSERT: complete the rows' keys, encrypt their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vaultdb.errors import StatementRefused
from vaultdb.orm.writing import dml
from vaultdb.orm.writing.columns import check_same_columns, refuse_companions
from vaultdb.orm.writing.defaults import fill_in
from vaultdb.orm.writing.encryption import encrypt_rows, refuse_expressions
from vaultdb.orm.writing.keys import complete_keys, encode_keys
from vaultdb.orm.writing.plaintext import refuse_plaintext_alone
from vaultdb.orm.writing.subjects import subjects_of_insert
from vaultdb.orm.writing.upsert import Upsert, upsert_of
from vaultdb.orm.writing.values import column_key, inline_values, move_into_rows, resolve

if TYPE_CHECKING:
    from vaultdb.orm.writing.table import EncryptedColumn
    from vaultdb.orm.writing.write import Row, Write


def encrypt_insert(write: Write) -> Any:
    """Return the statement to execute; `write.parameters` are encrypted in place.

    Raises:
        StatementRefused: INSERT FROM SELECT into encrypted columns, SQL as an encrypted value, a
            key that cannot be known beforehand, or an upsert into a row that is not known.

    """
    if dml.select_names(write.statement):
        _refuse_from_select(write)
    elif rows := dml.value_rows(write.statement):
        named = [_by_key(write, row) for row in rows]
        _encrypt(write, named, {})
        write.statement = dml.with_value_rows(write.statement, named)
    else:
        _encrypt(write, write.parameters, inline_values(write))
    return write.statement


def _encrypt(write: Write, rows: Sequence[Row], inline: Mapping[str, Any]) -> None:
    table = write.table
    upsert = upsert_of(write)
    refuse_companions(table, rows[0], inline)
    move_into_rows(write, inline, [*table.columns, *table.tenant_keys, *table.adopted])
    given = [column for column in table.columns.values() if column.key in rows[0]]
    check_same_columns(rows, given, table.columns)
    refuse_expressions(rows, given)
    defaulted = [
        column
        for column in table.columns.values()
        if column.key not in rows[0] and column.column.default is not None
    ]
    written = given + defaulted
    refuse_plaintext_alone(write, rows, written)
    bound = (
        any(column.row_key is not None for column in defaulted)
        or _holds_bound_value(rows, given)
        or (upsert is not None and upsert.holds_bound_value)
    )
    if bound:
        move_into_rows(write, inline, [column.key for column in table.key_columns])
        complete_keys(write, rows)
    context = [
        column for column in table.context_columns if not _is_given(column.key, rows, inline)
    ]
    fill_in(write, rows, [column.column for column in defaulted] + context)
    if upsert is not None:
        _encrypt_upsert(write, upsert, rows, bound=bound)
    subjects = subjects_of_insert(write, rows, inline, written)
    encrypt_rows(write, rows, written, encode_keys(written, rows) if bound else {}, subjects)


def _encrypt_upsert(write: Write, upsert: Upsert, rows: Sequence[Row], *, bound: bool) -> None:
    upsert.check_rows(rows)
    literals = upsert.rows()
    keys = encode_keys(upsert.literals, rows[: len(literals)]) if bound else {}
    subjects = subjects_of_insert(write, rows[: len(literals)], {}, upsert.literals)
    encrypt_rows(write, literals, upsert.literals, keys, subjects)
    upsert.apply(literals)


def _holds_bound_value(rows: Sequence[Row], columns: Sequence[EncryptedColumn]) -> bool:
    keys = [column.key for column in columns if column.row_key is not None]
    return any(row[key] is not None for row in rows for key in keys)


def _is_given(key: str, rows: Sequence[Row], inline: Mapping[str, Any]) -> bool:
    return key in rows[0] or key in inline


def _by_key(write: Write, values: Any) -> Row:
    """Return a row of `values([...])` by column key."""
    if not isinstance(values, Mapping):
        values = dict(zip(write.table.table.c.keys(), values, strict=False))
    row: Row = {}
    for name, value in values.items():
        key = column_key(write, name)
        if key is None:
            raise StatementRefused(f"{name} is not a column of {write.table.table.fullname}")
        row[key] = resolve(value, write.parameters[0], key)
    return row


def _refuse_from_select(write: Write) -> None:
    names = {column_key(write, name) for name in dml.select_names(write.statement)}
    defaults = write.statement.include_insert_from_select_defaults
    for key, column in write.table.columns.items():
        plain = [] if column.plain is None else [column.plain]
        beside = [each.key for each in (*column.companions, *plain)]
        is_written = not names.isdisjoint([key, *beside])
        if is_written or (defaults and column.column.default is not None):
            raise StatementRefused(
                f"INSERT FROM SELECT cannot write {column.column}, which is encrypted for each "
                "row: read the rows and insert them, or leave the column out"
            )
