"""INSERT … ON CONFLICT DO UPDATE.

The row that is updated is known only if the conflict is about the columns that values are bound to:
then it has the key of the row that could not be inserted, and what was encrypted for that row fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam
from sqlalchemy.sql.elements import BindParameter, Null

from vaultdb.errors import StatementRefused
from vaultdb.orm.writing import dml
from vaultdb.orm.writing.columns import names_of
from vaultdb.orm.writing.conflict import (
    check_adopted,
    check_companions,
    check_conflict,
    check_subjects,
    is_excluded,
)
from vaultdb.orm.writing.values import column_key, drop_unused_binds, is_expression, resolve

if TYPE_CHECKING:
    from vaultdb.orm.writing.table import EncryptedColumn
    from vaultdb.orm.writing.write import Row, Write

_PREFIX = "vaultdb_set_"
"""Names our binds in DO UPDATE; the row's own value has a bind with the name of its column."""


class Upsert:
    """What ON CONFLICT DO UPDATE sets of encrypted columns.

    Args:
        write: an INSERT with such a clause.
        pairs: what the clause sets.

    Raises:
        StatementRefused: the row that would be updated is not known, or the value cannot be bound.

    """

    def __init__(self, write: Write, pairs: Sequence[dml.Pair]) -> None:
        self._write = write
        self._pairs = pairs
        columns = write.table.columns
        _check_names(write, pairs)
        self._set = {key: value for name, value in pairs if (key := column_key(write, name))}
        written = [column for key, column in columns.items() if key in self._set]
        self.literals = [c for c in written if not is_excluded(c.key, self._set[c.key])]
        """columns that are set to a value of their own, not to the one of the row"""
        check_companions(write.table, self._set)
        check_adopted(write.table, self._set)
        check_conflict(write, written, self._set)
        check_subjects(write.table, written, self._set)
        for column in self.literals:
            _check_literal(column, self._set[column.key])

    @property
    def holds_bound_value(self) -> bool:
        """Whether a literal has to be encrypted for its row."""
        bound = [column for column in self.literals if column.row_key is not None]
        return any(row[column.key] is not None for column in bound for row in self.rows())

    def rows(self) -> list[Row]:
        """Return the literals for each parameter set, by column key."""
        return [
            {
                column.key: resolve(self._set[column.key], parameters, _PREFIX + column.key)
                for column in self.literals
            }
            for parameters in self._write.parameters
        ]

    def check_rows(self, inserted: Sequence[Row]) -> None:
        """Refuse one literal for several rows of `values([...])`, unless it binds to no row."""
        if len(inserted) > len(self._write.parameters) and self.holds_bound_value:
            names = names_of(column.column for column in self.literals)
            raise StatementRefused(
                f"the upsert gives several rows one value of {names}, and values are bound to "
                "their row: use stmt.excluded, or execute with a list of rows"
            )

    def apply(self, encrypted: Sequence[Row]) -> None:
        """Put the encrypted literals, and all index values, into the clause.

        Args:
            encrypted: what `rows` returned, encrypted.

        """
        write = self._write
        pairs: list[dml.Pair] = []
        for name, value in self._pairs:
            key = column_key(write, name)
            if key not in write.table.companions and key not in write.table.adopted:
                pairs += self._pairs_of(write.table.columns.get(key or ""), name, value)
        write.statement = dml.with_conflict_pairs(write.statement, pairs)
        drop_unused_binds(write, [self._set[column.key] for column in self.literals], keep=())
        for parameters, row in zip(write.parameters, encrypted, strict=True):
            parameters.update({_PREFIX + key: value for key, value in row.items()})

    def _pairs_of(self, column: EncryptedColumn | None, name: Any, value: Any) -> list[dml.Pair]:
        if column is None:
            return [(name, value)]
        plain = [] if column.plain is None else [column.plain]
        beside = [*column.companions, *plain]
        if column in self.literals:
            targets = [column.column, *beside]
            return [(each, bindparam(_PREFIX + each.key, type_=each.type)) for each in targets]
        return [(name, value), *((each, value.table.c[each.key]) for each in beside)]


def upsert_of(write: Write) -> Upsert | None:
    """Return what the statement's DO UPDATE means for encrypted columns, if it has one."""
    pairs = dml.conflict_pairs(dml.conflict_clause(write.statement))
    return None if pairs is None else Upsert(write, pairs)


def _check_names(write: Write, pairs: Sequence[dml.Pair]) -> None:
    """Refuse what is no column by its key: SQLAlchemy would send its value as it is."""
    for name, _ in pairs:
        key = column_key(write, name)
        if key is None or key not in write.table.table.c:
            raise StatementRefused(
                f"the upsert sets {name}, which is no column of {write.table.table.fullname} by "
                "that key: name columns by their key, or give the table's own"
            )


def _check_literal(column: EncryptedColumn, value: Any) -> None:
    if is_expression(value) and not isinstance(value, BindParameter | Null):
        raise StatementRefused(
            f"an upsert can give {column.column} a plain value or excluded.{column.key}, not "
            "other SQL: the server cannot encrypt"
        )
