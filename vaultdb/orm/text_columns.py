"""Encrypted columns in textual SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect, literal_column, select
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Dialect

POSTGRESQL: Dialect = PGDialect()  # type: ignore[no-untyped-call]


def columns(entity: Any, /, *, dialect: Dialect | None = None) -> str:
    """Write the SELECT list of a mapped class, for a textual statement that loads it.

    The list holds identifiers of the model only. Encrypted columns come with the key of their row,
    without which they do not decrypt.

    Args:
        entity: a mapped class, or an `aliased(Model, name="p")` of it: then the text has to call
            the table `p`.
        dialect: by default PostgreSQL's.

    Example:
        >>> from sqlalchemy import select, text
        >>> from vaultdb.demo.model import Patient
        >>> statement = text(f"SELECT {columns(Patient)} FROM patient WHERE id = :id")
        >>> query = select(Patient).from_statement(statement)

    """
    mapped = [attribute.class_attribute for attribute in inspect(entity).mapper.column_attrs]
    target = [getattr(entity, attribute.key) for attribute in mapped]
    # The text may sort: with an ORDER BY here, values are bound to their rows after a sort there.
    ordered = select(*target).order_by(literal_column("1"))
    compiled = str(ordered.compile(dialect=dialect or POSTGRESQL))
    # the last FROM: a column_property may hold another
    return compiled[len("SELECT ") : compiled.rindex("\nFROM ")]
