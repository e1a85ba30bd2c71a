"""Models that change from one revision to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, Text

from vaultdb import Encrypted, Equality
from vaultdb.roles.access import access

Change = Callable[[], list[Any]]


def clinic(
    *columns: Column[Any],
    table: str = "patient",
    schema: str | None = None,
    declare: bool = True,
    without: tuple[str, ...] = (),
    **declared: Any,
) -> MetaData:
    """One table with encrypted columns; `columns` replace those of the same name."""
    given = {column.name: column for column in columns}
    usual: list[Column[Any]] = [
        Column("id", Integer, primary_key=True),
        Column("tenant_id", Text, nullable=False),
        Column("name", Text),
        Column("ssn", Encrypted(str, index=Equality(unique=True))),
        Column("note", Encrypted(str)),
    ]
    chosen = [given.pop(each.name, each) for each in usual if each.name not in without]
    metadata = MetaData()
    made = Table(table, metadata, *chosen, *given.values(), schema=schema)
    if declare:
        access(made, **declared)
    return metadata
