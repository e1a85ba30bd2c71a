"""The sequences that make a table's keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Sequence
from sqlalchemy.sql.functions import next_value

from vaultdb.db.quoting import LONGEST_NAME
from vaultdb.orm.attachment import encrypted_columns

if TYPE_CHECKING:
    from sqlalchemy import Column, Table

_LABEL = "seq"


def used_sequences(table: Table, default_schema: str) -> set[tuple[str, str]]:
    """Return schema and name, unquoted, of each sequence that somebody who inserts must use.

    A serial column's default uses its sequence with the rights of whoever inserts. An identity
    column's does not; but values are encrypted for a row whose key is known, so that for tables
    with encrypted columns the key is asked for beforehand.
    """
    found = {_explicit(column, default_schema) for column in table.columns}
    key = table.autoincrement_column
    if key is not None and (_is_serial(key) or _is_prefetched(key)):
        found.add((table.schema or default_schema, implicit_name(table.name, key.name)))
    return {each for each in found if each is not None}


def implicit_name(table: str, column: str) -> str:
    """Return the name that PostgreSQL gives the sequence of a serial or identity column.

    The longer of the two names loses bytes until all fits, never half a character
    (`makeObjectName` in `src/backend/commands/indexcmds.c`).
    """
    first, second = table.encode(), column.encode()
    room = LONGEST_NAME - len(_LABEL) - 2
    sizes = [len(first), len(second)]
    while sum(sizes) > room:
        sizes[0 if sizes[0] > sizes[1] else 1] -= 1
    parts = (first[: sizes[0]], second[: sizes[1]])
    return "_".join([*(part.decode(errors="ignore") for part in parts), _LABEL])


def _explicit(column: Column[Any], default_schema: str) -> tuple[str, str] | None:
    sequence: Any = column.default
    if sequence is None:
        sequence = getattr(column.server_default, "arg", None)
    if isinstance(sequence, next_value):
        sequence = sequence.sequence
    if not isinstance(sequence, Sequence) or sequence.optional:
        return None
    return (sequence.schema or default_schema, sequence.name)


def _is_serial(column: Column[Any]) -> bool:
    """Tell whether SQLAlchemy's DDL makes this autoincrement column SERIAL."""
    default: Any = column.default
    made_here = default is None or (isinstance(default, Sequence) and default.optional)
    return column.identity is None and column.server_default is None and made_here


def _is_prefetched(column: Column[Any]) -> bool:
    return column.identity is not None and bool(encrypted_columns(column.table))
