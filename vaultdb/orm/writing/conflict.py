"""Which row an upsert updates: the one that has the conflicting columns in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.schema import Table, UniqueConstraint
from sqlalchemy.sql.elements import ColumnClause

from vaultdb.errors import StatementRefused
from vaultdb.orm.writing import dml
from vaultdb.orm.writing.columns import names_of
from vaultdb.orm.writing.plaintext import plaintext_refusal
from vaultdb.orm.writing.subjects import subject_columns
from vaultdb.orm.writing.values import column_key

if TYPE_CHECKING:
    from vaultdb.orm.writing.table import EncryptedColumn, EncryptedTable
    from vaultdb.orm.writing.write import Write


def is_excluded(key: str, value: Any) -> bool:
    """Return whether a value of DO UPDATE is what the INSERT had for the same column."""
    return _is_column(key, value, "excluded")


def check_conflict(
    write: Write, written: Sequence[EncryptedColumn], values: Mapping[str, Any]
) -> None:
    """Refuse a DO UPDATE whose row has another key than the row that was to be inserted.

    Args:
        write: the INSERT.
        written: the encrypted columns that DO UPDATE sets.
        values: what it sets, by column key.

    Raises:
        StatementRefused: the conflict is not about the key, or the key is changed.

    """
    common = _conflict_columns(write)
    needed = {key: None for column in written if column.row_key for key in column.row_key.columns}
    if any(column.key not in common for column in needed):
        raise StatementRefused(
            f"an upsert on another conflict than {names_of(needed)} would write "
            f"{names_of(column.column for column in written)} to a row that is not known, and the "
            "values are bound to their row: name the primary key in index_elements=, or read the "
            "row and update it"
        )
    for column in write.table.key_columns:
        value = values.get(column.key)
        unchanged = _is_column(column.key, value, write.table.table.name) or (
            column.key in common and is_excluded(column.key, value)
        )
        if column.key in values and not unchanged:
            raise StatementRefused(
                f"an upsert cannot change {column}: encrypted values are bound to it"
            )


def check_companions(table: EncryptedTable, values: Mapping[str, Any]) -> None:
    """Refuse index values from the caller, other than those that come with their column."""
    for key, column in table.companions.items():
        if key in values and not (is_excluded(key, values[key]) and column.key in values):
            raise StatementRefused(
                f"{key} is the blind index of {column.column} and is filled by vaultdb: leave it "
                "out of the upsert"
            )


def check_adopted(table: EncryptedTable, values: Mapping[str, Any]) -> None:
    """Refuse plaintext from the caller, other than what comes with its encrypted column."""
    for key, column in table.adopted.items():
        if key in values and not (is_excluded(key, values[key]) and column.key in values):
            raise plaintext_refusal(column)


def check_subjects(
    table: EncryptedTable, written: Sequence[EncryptedColumn], values: Mapping[str, Any]
) -> None:
    """Refuse values for a row whose data subject may be another than that of the new row."""
    for column in subject_columns(written):
        in_key = column.primary_key
        if not in_key and not is_excluded(column.key, values.get(column.key)):
            raise StatementRefused(
                f"the row in the way may be another data subject's: set {column.key} ="
                f" stmt.excluded.{column.key} too, or update the row of {table.table.fullname} by"
                " its key"
            )


def _is_column(key: str, value: Any, table: str) -> bool:
    return (
        isinstance(value, ColumnClause)
        and value.key == key
        and getattr(value.table, "name", None) == table
    )


def _conflict_columns(write: Write) -> set[str]:
    """Return the keys of the columns that two rows in conflict have in common."""
    clause = dml.conflict_clause(write.statement)
    name = getattr(clause, "constraint_target", None)
    if name is not None:
        return _constraint_columns(write.table.table, name)
    elements = clause.inferred_target_elements or ()
    return {key for element in elements if (key := _element_key(write, element)) is not None}


def _constraint_columns(table: Table, name: str) -> set[str]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint) and constraint.name == name:
            return set(constraint.columns.keys())
    # The second is PostgreSQL's own name, when the declaration gives none.
    if name in (table.primary_key.name, f"{table.name}_pkey"):
        return set(table.primary_key.columns.keys())
    return set()


def _element_key(write: Write, element: Any) -> str | None:
    if isinstance(element, str):
        keys = {column.name: column.key for column in write.table.table.c}
        return keys.get(element)
    return column_key(write, element)
