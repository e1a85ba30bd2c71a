"""Rules about whole rows: DISTINCT, set operations, row values and textual statements."""

# ruff: noqa: SLF001

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, ColumnClause, CompoundSelect, TextClause
from sqlalchemy.sql.selectable import SelectStatementGrouping

from vaultdb.errors import StatementRefused
from vaultdb.orm.plaintext import MARK_SQL
from vaultdb.orm.refusals import positions as at
from vaultdb.orm.refusals.columns import encrypted_type, refusal
from vaultdb.orm.row_key import row_key_of
from vaultdb.orm.supply import NotSuppliedError, bare, is_null_constant, supplied_beside
from vaultdb.orm.types import is_encrypted

__all__ = [
    "check_distinct",
    "check_set_operation",
    "check_textual_columns",
    "check_whole_row",
    "text_binds_rows",
]


def check_distinct(select: Any) -> None:
    """Refuse SELECT DISTINCT on an encrypted column unless its key is selected too.

    Two encryptions of one value differ, so DISTINCT would return duplicates. With the key in the
    list each row is distinct by its key, and the encrypted column changes nothing.
    """
    if not select._distinct or select._distinct_on:
        return
    columns = list(select._all_selected_columns)
    for column in _without_key(columns):
        raise refusal(column, at.DISTINCT)


def check_set_operation(compound: CompoundSelect[Any], keyword: str) -> None:
    """Refuse a set operation that would compare ciphertext or mix logical names."""
    members = [list(member._all_selected_columns) for member in _members(compound)]
    for position in zip(*members, strict=False):
        _check_one_name(position, keyword)
    if keyword != "UNION ALL":
        for columns in members:
            for column in _without_key(columns):
                raise refusal(column, at.set_operation(keyword))


def check_whole_row(source: Any) -> None:
    """Refuse a row value of a table that has encrypted columns: it would carry ciphertext."""
    for column in source.c:
        if is_encrypted(column):
            raise refusal(column, at.WHOLE_ROW)


def check_textual_columns(statement: Any, *, nested: bool) -> None:
    """Refuse a textual SELECT with encrypted columns inside another statement."""
    for column in statement.column_args if nested else ():
        if is_encrypted(column):
            raise refusal(column, at.TEXT)


def text_binds_rows(statement: Any, column: ColumnClause[Any]) -> bool:
    """Return whether a textual statement selects its encrypted values together with their keys."""
    type_ = encrypted_type(column)
    if type_ is None:
        return True
    comes_alone = type_.bind == "column" and type_.tenant_column is None
    needed = [*([] if comes_alone else ["bind_row("]), *([MARK_SQL] * type_.allows_plaintext)]
    text = getattr(statement, "element", statement)
    text = getattr(text, "element", text)  # text().columns() inside from_statement()
    return not needed or (
        isinstance(text, TextClause) and all(each in text.text for each in needed)
    )


def _members(compound: CompoundSelect[Any]) -> Iterator[Any]:
    for member in compound.selects:
        while isinstance(member, SelectStatementGrouping):
            member = member.element  # noqa: PLW2901  # parentheses mean nothing here
        yield member


def _check_one_name(position: Sequence[Any], keyword: str) -> None:
    encrypted = [column for column in position if is_encrypted(column)]
    if not encrypted:
        return
    first = encrypted_type(position[0])
    for column in position:
        type_ = encrypted_type(column)
        same = type_ is not None and first is not None and type_.identity == first.identity
        if not same and not (is_null_constant(column) and first is not None):
            names = sorted({str(each.type.logical_name) for each in encrypted})
            raise StatementRefused(
                f"{keyword} would put {', '.join(names)} and other columns into one column of the "
                "result, and a value only decrypts under its own logical name: select the members "
                "one by one"
            )


def _without_key(columns: Sequence[Any]) -> Iterator[Any]:
    """Yield the encrypted columns of a list that does not hold their keys."""
    listed = [bare(column) for column in columns]
    for column in listed:
        if is_encrypted(column) and not is_null_constant(column) and not _has_key(column, listed):
            yield column


def _has_key(column: Any, listed: Sequence[Any]) -> bool:
    """Return whether the key of the row that `column` comes from is listed with it."""
    try:
        key = supplied_beside(column, _key_of)
    except NotSuppliedError:
        return False
    # compared by hash, which an annotated column shares with the one it annotates
    return {hash(part) for part in key or ()} <= {hash(each) for each in listed}


def _key_of(column: Column[Any]) -> Sequence[Column[Any]]:
    type_ = encrypted_type(column)
    bound = () if type_ is None else row_key_of(column.table, type_.bind).columns
    return bound or tuple(column.table.primary_key)
