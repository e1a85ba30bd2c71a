"""The logical name: what a column is called in associated data, for ever."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Table


def default_logical_name(table: Table, column: Column[Any]) -> str:
    """Return `schema.table.column` as declared, without a schema when none is declared.

    A part that holds a dot or a quote is quoted like an identifier, so that no two columns share
    a name by accident.
    """
    parts = [table.schema, table.name, column.name]
    return ".".join(_quoted(part) for part in parts if part is not None)


def _quoted(part: str) -> str:
    plain = "." not in part and '"' not in part
    return str(part) if plain else '"' + part.replace('"', '""') + '"'
