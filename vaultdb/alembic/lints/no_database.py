"""Stands in for the connection of a revision that asks for one: it says that there is nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from sqlalchemy import TextClause


class Nothing:
    """A result without rows, and whatever else somebody asks of it."""

    rowcount = 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __bool__(self) -> bool:
        return False

    def fetchall(self) -> list[Any]:
        """Return no rows."""
        return []

    all = fetchall

    def scalar(self) -> None:
        """Return no value."""

    first = one_or_none = scalar_one_or_none = fetchone = scalar

    def __getattr__(self, name: str) -> Callable[..., Nothing]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *_, **__: self


class NoDatabase(Nothing):
    """Notes the statements that it is given.

    Args:
        implementation: of Alembic, which knows the dialect.
        note: told of each statement.

    """

    def __init__(self, implementation: Any, note: Callable[[str], None]) -> None:
        self.dialect = implementation.dialect
        self._note = note

    def execute(self, construct: Any, *_: Any, **__: Any) -> Nothing:
        """Note a statement."""
        if isinstance(construct, TextClause):
            self._note(construct.text)
        elif isinstance(construct, str):
            self._note(construct)
        else:
            self._note(str(construct.compile(dialect=self.dialect)))
        return Nothing()

    exec_driver_sql = execute

    def schema_for_object(self, table: Any) -> str | None:
        """Return the schema as it is declared: nothing translates it."""
        schema: str | None = table.schema
        return schema

    def scalars(self, construct: Any, *_: Any, **__: Any) -> Nothing:
        """Note a statement."""
        return self.execute(construct)

    def scalar(self, construct: Any = None, *_: Any, **__: Any) -> None:
        """Note a statement."""
        if construct is not None:
            self.execute(construct)
