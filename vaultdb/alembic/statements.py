"""The SQL files beside this module."""

from __future__ import annotations

from importlib import resources

from sqlalchemy import TextClause, text


def shipped(name: str) -> TextClause:
    """Return the statement in `sql/NAME.sql`."""
    file = resources.files("vaultdb.alembic").joinpath("sql", f"{name}.sql")
    return text(file.read_text(encoding="utf-8"))
