"""What a comparison asks the database beside its tables: names, triggers, checks, sequences."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy import Column, Connection, MetaData, Table, TextClause, text

from vaultdb.alembic.covering import covers
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.orm.naming import default_logical_name


def _sql(name: str) -> TextClause:
    return text(shipped_sql("vaultdb.alembic.autogenerate", name))


class Lookups:
    """Answers about one database, asked once each."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def default_schema(self) -> str:
        """The schema of tables that declare none."""
        return self._connection.dialect.default_schema_name or "public"

    def is_known_as(self, table: Table, column: str, logical_name: str) -> bool:
        """Tell whether a column's values are encrypted under a logical name.

        As recorded in the catalogue; what is not recorded there has its default name.
        """
        place = self._recorded.get(logical_name)
        if place is not None:
            schemas = {table.schema or "", table.schema or self.default_schema}
            return place[0] in schemas and place[1:] == (table.name, column)
        return logical_name in self._default_names(table, column)

    def _default_names(self, table: Table, column: str) -> set[str]:
        bare = Table(table.name, MetaData(), Column(column), schema=table.schema)
        names = {default_logical_name(bare, bare.columns[column])}
        if table.schema is None:
            named = Table(table.name, MetaData(), Column(column), schema=self.default_schema)
            names.add(default_logical_name(named, named.columns[column]))
        return names

    @cached_property
    def _recorded(self) -> dict[str, tuple[str, str, str]]:
        if self._connection.scalar(text("SELECT to_regclass('vaultdb.logical_name')")) is None:
            return {}
        rows = self._connection.execute(_sql("logical_names"))
        return {name: (schema, table, column) for name, schema, table, column in rows}

    def is_covered(self, table: Table, plain: str, encrypted: str) -> bool:
        """Tell whether a validated CHECK says that no plaintext is without its ciphertext."""
        rows = self._connection.scalars(_sql("validated_checks"), self._place(table))
        return any(covers(definition, plain, encrypted) for definition in rows)

    def has_trigger(self, table: Table, name: str) -> bool:
        """Tell whether a table has a trigger of this name."""
        rows = self._connection.scalars(_sql("triggers"), self._place(table))
        return name in set(rows)

    def sequences(self, table: Table) -> list[tuple[str, str]]:
        """Return schema and name of the sequences that belong to a table's columns."""
        rows = self._connection.execute(_sql("sequences"), self._place(table))
        return [(schema, name) for schema, name in rows]

    def _place(self, table: Table) -> dict[str, str]:
        return {"schema": table.schema or self.default_schema, "table": table.name}
