"""What a comparison has come across: every table, as it is and as it is declared."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Table

Key = tuple[str | None, str]
"""Schema, None for the default one, and table, as Alembic calls them while it compares."""


@dataclass(slots=True)
class Seen:
    """Tables by key; None where there is none."""

    live: dict[Key, Table | None] = field(default_factory=dict)
    declared: dict[Key, Table | None] = field(default_factory=dict)

    def note(
        self, schema: str | None, name: str, live: Table | None, declared: Table | None
    ) -> None:
        """Remember a table."""
        self.live[schema, str(name)] = live
        self.declared[schema, str(name)] = declared
