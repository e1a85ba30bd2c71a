"""Whose value it is that a row gets: the data subject that has a DEK of its own.

An INSERT says it. An UPDATE of a value often does not name the column that holds the subject; then
the rows are asked for it, and locked, so that they are still that subject's when they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, tuple_

from vaultdb.errors import StatementRefused, ValueRefused
from vaultdb.orm.writing.columns import names_of
from vaultdb.orm.writing.defaults import fill_in, is_python_side
from vaultdb.orm.writing.values import MISSING, is_expression, move_into_rows

if TYPE_CHECKING:
    from sqlalchemy import Column

    from vaultdb.orm.writing.table import EncryptedColumn
    from vaultdb.orm.writing.write import Row, Write

Subjects = Mapping[str, Sequence[Any]]
"""For each column that holds a subject, by its key, the values of all rows."""

ROWS_AT_ONCE: Final = 5_000
"""Rows that are asked for their subject in one query; PostgreSQL takes 65,535 parameters."""


def subject_columns(columns: Iterable[EncryptedColumn]) -> list[Column[Any]]:
    """Return the columns that hold the subjects of these columns' values."""
    return list(dict.fromkeys(c.subject_column for c in columns if c.subject_column is not None))


def subjects_of_insert(
    write: Write, rows: Sequence[Row], inline: Mapping[str, Any], written: Sequence[EncryptedColumn]
) -> Subjects:
    """Return the subjects of rows that are inserted; their keys are complete.

    Raises:
        StatementRefused: a row does not say whose value it holds.

    """
    found: dict[str, Sequence[Any]] = {}
    for column in subject_columns(written):
        move_into_rows(write, inline, [column.key])
        if column.key not in rows[0] and is_python_side(column.default):
            fill_in(write, rows, [column])
        found[column.key] = [row.get(column.key) for row in rows]
        if any(map(is_expression, found[column.key])):
            raise StatementRefused(
                f"{column} says whose key encrypts the row, and is SQL: give a plain value"
            )
    return found


def subjects_of_update(
    write: Write,
    written: Sequence[EncryptedColumn],
    pinned: Sequence[Mapping[str, Any]],
    *,
    is_set: Iterable[str],
) -> Subjects:
    """Return the subjects that the rows have after an UPDATE.

    Args:
        write: the statement.
        written: the encrypted columns that it sets.
        pinned: for each parameter set, what WHERE says the row's columns equal, by column key.
        is_set: the keys of all columns that it sets.

    Raises:
        StatementRefused: the subject changes without its values, the row is not named, or there is
            no such row.

    """
    changed = set(is_set)
    left = [c for c in write.table.columns.values() if c not in written]
    for column in subject_columns(left):
        if column.key in changed:
            raise StatementRefused(
                f"changing {column} needs every value that is encrypted for it in the same UPDATE:"
                f" set {names_of(c.column for c in left if c.subject_column is column)} too (on a"
                " loaded object with sqlalchemy.orm.attributes.flag_modified)"
            )
    found: dict[str, Sequence[Any]] = {}
    wanted = [c for c in written if any(row[c.key] is not None for row in write.parameters)]
    for column in subject_columns(wanted):
        if column.key in changed:
            found[column.key] = [row.get(column.key) for row in write.parameters]
        elif column.key in pinned[0]:
            found[column.key] = [row[column.key] for row in pinned]
        else:
            found[column.key] = _ask(write, column, pinned)
    return found


def _ask(write: Write, column: Column[Any], pinned: Sequence[Mapping[str, Any]]) -> list[Any]:
    key = list(write.table.table.primary_key.columns)
    if not key or any(each.key not in pinned[0] for each in key):
        raise StatementRefused(
            f"an UPDATE of values that are encrypted for {column} must name its row by the primary"
            " key, or name the subject: load the objects and change them"
        )
    names = [each.key for each in key]
    wanted = [tuple(row[name] for name in names) for row in pinned]
    known: dict[tuple[Any, ...], Any] = {}
    for at in range(0, len(wanted), ROWS_AT_ONCE):
        query = select(*key, column).with_for_update(key_share=True)
        query = query.where(tuple_(*key).in_(list(dict.fromkeys(wanted[at : at + ROWS_AT_ONCE]))))
        known |= {tuple(row[:-1]): row[-1] for row in write.query(query, {})}
    found = [known.get(each, MISSING) for each in wanted]
    if any(each is MISSING for each in found):
        raise StatementRefused(
            f"a row of {write.table.table.fullname} whose value is to be encrypted for {column} is"
            " not there"
        )
    return found


def text_of(column: EncryptedColumn, value: Any) -> str:
    """Return the subject's name in the key table.

    Raises:
        ValueRefused: the row does not say whose value it holds.

    """
    name = "" if value is None or value is MISSING else str(value)
    if not name:
        raise ValueRefused(
            f"{column.column} is encrypted with the key of one data subject: give the row a value"
            f" for {column.subject_column}"
        )
    return name
