"""Where a column is: schema, table, column, and whether the database has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A column as declared; an empty schema is whatever the search path finds."""

    schema: str
    table_name: str
    column: str

    @property
    def table(self) -> tuple[str, str]:
        """Schema and table."""
        return (self.schema, self.table_name)

    def __str__(self) -> str:
        return ".".join(part for part in (self.schema, self.table_name, self.column) if part)


_EXISTING = text("""
    SELECT p.position
    FROM unnest(CAST(:schemas AS text[]), CAST(:tables AS text[]), CAST(:columns AS text[]))
      WITH ORDINALITY AS p (schema, table_name, column_name, position)
    JOIN pg_catalog.pg_attribute a
      ON a.attrelid = pg_catalog.to_regclass(
           CASE WHEN p.schema = '' THEN '' ELSE pg_catalog.quote_ident(p.schema) || '.' END
           || pg_catalog.quote_ident(p.table_name))
     AND a.attname = p.column_name AND NOT a.attisdropped
""")


def existing_places(connection: Connection, places: Iterable[Place]) -> set[Place]:
    """Return those places that the database has."""
    asked = list(places)
    positions = connection.scalars(
        _EXISTING,
        {
            "schemas": [place.schema for place in asked],
            "tables": [place.table_name for place in asked],
            "columns": [place.column for place in asked],
        },
    )
    return {asked[position - 1] for position in positions}
