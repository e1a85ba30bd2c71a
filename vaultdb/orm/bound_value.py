"""A selected encrypted column: the value and the key of its row, in one result column.

::

    u32be size of the row binding ‖ row binding ‖ sections ‖ envelope

    section   0xC1 ‖ 26 bytes of the companion, or 0xC2 ‖ u32be size ‖ tenant column as UTF-8

An envelope starts with 0xF6, so the sections end where it starts. A column with `bind="column"`
and without sections is selected as it is. Only reading uses this form; it is never stored.
Where plaintext is allowed and there is no ciphertext, `vaultdb.orm.plaintext` says what comes.

PostgreSQL computes it with `vaultdb.bind_row`, which is VOLATILE so that it comes after a sort:
an ORDER BY … LIMIT 20 then fetches 20 values and not all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ColumnElement

from vaultdb.errors import StatementRefused
from vaultdb.orm.plaintext_supply import plaintext_beside
from vaultdb.orm.row_key import RowKey, row_key_of
from vaultdb.orm.supply import NotSuppliedError, bare, is_null_constant, supplied_beside

if TYPE_CHECKING:
    from vaultdb.orm.types import Encrypted


class BoundValue(ColumnElement[Any]):
    """An encrypted column with the columns of its row that reading needs.

    Args:
        value: the encrypted column, without label.
        type_: its type.
        row_key: the key of the table at the bottom.
        key: the key columns, as seen from the FROM element that supplies the value.
        tenant: likewise the tenant column, where one is declared.
        plain: likewise the plaintext, where it is read when there is no ciphertext.

    """

    __visit_name__ = "vaultdb_bound_value"
    inherit_cache = False

    def __init__(
        self,
        value: ColumnElement[Any],
        type_: Encrypted[Any],
        row_key: RowKey,
        key: Sequence[ColumnElement[Any]],
        *,
        tenant: ColumnElement[Any] | None,
        plain: ColumnElement[Any] | None = None,
    ) -> None:
        self.value = value
        self.encrypted = type_
        self.type = type_
        self.row_key = row_key
        self.key_columns = key
        self.tenant = tenant
        self.plain = plain


def bound_value(type_: Encrypted[Any], column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return what to select for an encrypted column.

    Raises:
        StatementRefused: the value's row cannot be told from the statement; names the remedy.

    """
    value = bare(column)
    if is_null_constant(value):
        return column
    bottom: list[RowKey] = []
    try:
        beside = supplied_beside(value, lambda column: _wanted(column, type_, bottom))
    except NotSuppliedError as missing:
        refusal = _refusal(value, missing.args[0])
    else:
        if beside is None:
            return column
        width = len(bottom[0].columns)
        tenant = beside[width] if len(beside) > width else None
        plain = plaintext_beside(value) if type_.allows_plaintext else None
        return BoundValue(value, type_, bottom[0], beside[:width], tenant=tenant, plain=plain)
    raise refusal


def _wanted(column: Column[Any], type_: Encrypted[Any], bottom: list[RowKey]) -> list[Column[Any]]:
    if column.type.identity != type_.identity:  # type: ignore[attr-defined]
        raise StatementRefused(
            f"a UNION of {type_.logical_name} and {column.type.logical_name} cannot be decrypted: "  # type: ignore[attr-defined]
            "select them in two statements"
        )
    row_key = row_key_of(column.table, type_.bind)
    if bottom and bottom[0].tags != row_key.tags:
        raise NotSuppliedError(None)
    bottom.append(row_key)
    tenant = type_.tenant_column
    return [*row_key.columns, *([] if tenant is None else [column.table.columns[tenant]])]


def _refusal(value: ColumnElement[Any], missing: object) -> StatementRefused:
    if missing is value:
        return StatementRefused(
            f"an encrypted value cannot be the result of a {type(value).__name__} expression: "
            "select the column itself and compute in Python"
        )
    if missing is not None and not isinstance(missing, ColumnElement):
        return StatementRefused(
            f"{value} cannot be decrypted outside of the statement that supplies it, which is no "
            "SELECT: execute that one by itself, or select its keys and join the table"
        )
    if missing is None:
        return StatementRefused(
            f"the arms of a UNION supply {value} with different keys, or list them in different "
            "places: select the same key columns in the same order in each"
        )
    return StatementRefused(
        f"{value} cannot be decrypted without the key of its row: select {missing} beside it in "
        'the inner query, or declare the column with bind="column"'
    )
