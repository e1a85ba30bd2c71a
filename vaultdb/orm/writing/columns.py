"""Checks on which columns a statement writes, shared by INSERT and UPDATE."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vaultdb.errors import StatementRefused

if TYPE_CHECKING:
    from sqlalchemy import Column

    from vaultdb.orm.writing.table import EncryptedColumn, EncryptedTable
    from vaultdb.orm.writing.write import Row


def names_of(columns: Iterable[Column[Any]]) -> str:
    """Return the columns' names for a message."""
    return ", ".join(str(column) for column in columns)


def refuse_companions(table: EncryptedTable, *written: Container[str]) -> None:
    """Refuse index values from the caller: they would not match what is encrypted."""
    for key, column in table.companions.items():
        if any(key in names for names in written):
            raise StatementRefused(
                f"{key} is the blind index of {column.column} and is filled by vaultdb: leave "
                "it out"
            )


def check_same_columns(
    rows: Sequence[Row], given: Sequence[EncryptedColumn], columns: Mapping[str, EncryptedColumn]
) -> None:
    """Refuse parameter sets with other columns than the first; SQLAlchemy goes by the first."""
    if len(rows) == 1:
        return
    keys = {column.key for column in given}
    absent = columns.keys() - keys
    for number, row in enumerate(rows):
        if not (keys <= row.keys()) or (absent and not absent.isdisjoint(row)):
            raise StatementRefused(
                f"parameter set {number} does not name the same encrypted columns as the first "
                "one: give None for NULL"
            )
