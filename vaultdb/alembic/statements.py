"""The SQL files beside this module."""

from __future__ import annotations

from sqlalchemy import TextClause, text

from vaultdb.db.shipped_sql import shipped_sql


def shipped(name: str) -> TextClause:
    """Return the statement in `sql/NAME.sql`."""
    return text(shipped_sql("vaultdb.alembic", name))
