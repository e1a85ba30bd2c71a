"""The key that a table is walked by, in SQL: spans, order and text forms.

Keys are compared by the server, each column by its own type and collation: the text of a key goes
to it as a literal of unknown type would, and takes the column's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from vaultdb.errors import ConfigurationError
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.row_key import row_key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, Table

    from vaultdb.jobs.work.task import Key, Span

ALIAS = sql.Identifier("t")
"""What a table is called in the engine's statements."""
_AFTER = sql.SQL(">")
_UPTO = sql.SQL("<=")


@dataclass(frozen=True, slots=True)
class RowKeys:
    """The columns that a table is walked by, in order.

    Args:
        table: its name, quoted, with the schema when there is one.
        names: the key columns' names in the database.

    """

    table: sql.Identifier
    names: tuple[str, ...]

    @property
    def columns(self) -> list[sql.Composed]:
        """The key columns of the alias `t`."""
        return [column(name) for name in self.names]

    @property
    def order(self) -> sql.Composed:
        """What follows ORDER BY."""
        return sql.SQL(", ").join(self.columns)

    @property
    def texts(self) -> sql.Composed:
        """The key as a list of select items, in text form."""
        return sql.SQL(", ").join(sql.SQL("{}::text").format(name) for name in self.columns)

    def within(self, span: Span) -> tuple[sql.Composable, list[str]]:
        """Return a condition on the rows of a span, and its parameters."""
        terms: list[sql.Composable] = []
        parameters: list[str] = []
        for operator, key in ((_AFTER, span.after), (_UPTO, span.upto)):
            if key is not None:
                terms.append(self._compared(operator))
                parameters += self.checked(key)
        return (sql.SQL(" AND ").join(terms) if terms else sql.SQL("true")), parameters

    def _compared(self, operator: sql.SQL) -> sql.Composed:
        places = [sql.Placeholder()] * len(self.names)
        if len(self.names) == 1:
            return sql.SQL("{} {} {}").format(self.columns[0], operator, places[0])
        comma = sql.SQL(", ")
        return sql.SQL("({}) {} ({})").format(self.order, operator, comma.join(places))

    def checked(self, key: Key) -> Key:
        """Return a key that has as many columns as the table's.

        Raises:
            ConfigurationError: it was stored when the table had another key.

        """
        if len(key) != len(self.names):
            raise ConfigurationError(
                "the table's primary key has other columns than when the job was started: cancel "
                "the job and start it again"
            )
        return key


def column(name: str) -> sql.Composed:
    """Return a column of the alias `t`."""
    return sql.SQL("{}.{}").format(ALIAS, sql.Identifier(name))


def table_name(table: Table) -> sql.Identifier:
    """Return a table's name, quoted, with its schema when it has one."""
    return sql.Identifier(*([table.schema] if table.schema else []), table.name)


def key_columns(table: Table) -> Sequence[Column[Any]]:
    """Return the columns that name a row: the primary key, else what values are bound to.

    Raises:
        ConfigurationError: there are none.

    """
    primary = tuple(table.primary_key.columns)
    if primary:
        return primary
    bound = [encrypted.type.bind for encrypted in encrypted_columns(table)]  # type: ignore[attr-defined]
    named = next((bind for bind in bound if isinstance(bind, tuple)), None)
    if named is None:
        raise ConfigurationError(
            f"table {table.fullname} has no primary key, so its rows cannot be worked through: "
            'declare one, or name a unique key with bind=("id",)'
        )
    return row_key_of(table, named).columns


def row_keys(table: Table) -> RowKeys:
    """Return how a table is walked.

    Raises:
        ConfigurationError: it has no key.

    """
    return RowKeys(table_name(table), tuple(key.name for key in key_columns(table)))
