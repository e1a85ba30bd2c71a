"""What a statement does, as far as the rules look at it."""

from __future__ import annotations

from dataclasses import dataclass, field

from vaultdb.alembic.lints.reader import Name
from vaultdb.alembic.sql_tokens import Token


@dataclass(frozen=True, slots=True)
class Constraint:
    """Of a table."""

    kind: str
    """primary, unique, foreign, check, exclude."""
    columns: tuple[str, ...] = ()
    name: str | None = None
    on_update: str = ""
    condition: tuple[Token, ...] = ()
    is_validated: bool = True


@dataclass(frozen=True, slots=True)
class NewColumn:
    """A column with its own constraints."""

    name: str
    is_envelope: bool
    constraints: tuple[Constraint, ...] = ()
    storage: str = ""


class Event:
    """Something happens to the schema."""


@dataclass(frozen=True, slots=True)
class TableCreated(Event):
    """CREATE TABLE."""

    table: Name
    columns: tuple[NewColumn, ...]
    constraints: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True)
class TableDropped(Event):
    """DROP TABLE."""

    table: Name


@dataclass(frozen=True, slots=True)
class TableRenamed(Event):
    """ALTER TABLE RENAME TO, or SET SCHEMA."""

    table: Name
    to: Name


@dataclass(frozen=True, slots=True)
class ColumnAdded(Event):
    """ADD COLUMN."""

    table: Name
    column: NewColumn


@dataclass(frozen=True, slots=True)
class ColumnDropped(Event):
    """DROP COLUMN."""

    table: Name
    column: str


@dataclass(frozen=True, slots=True)
class ColumnRenamed(Event):
    """RENAME COLUMN."""

    table: Name
    column: str
    to: str


@dataclass(frozen=True, slots=True)
class TypeChanged(Event):
    """ALTER COLUMN TYPE."""

    table: Name
    column: str
    is_envelope: bool


@dataclass(frozen=True, slots=True)
class StorageSet(Event):
    """ALTER COLUMN SET STORAGE."""

    table: Name
    column: str
    storage: str


@dataclass(frozen=True, slots=True)
class ConstraintAdded(Event):
    """ADD CONSTRAINT."""

    table: Name
    constraint: Constraint


@dataclass(frozen=True, slots=True)
class ConstraintValidated(Event):
    """VALIDATE CONSTRAINT."""

    table: Name
    name: str


@dataclass(frozen=True, slots=True)
class ConstraintDropped(Event):
    """DROP CONSTRAINT."""

    table: Name
    name: str


@dataclass(frozen=True, slots=True)
class RowSecuritySet(Event):
    """ENABLE, DISABLE, FORCE, NO FORCE."""

    table: Name
    enabled: bool | None = None
    forced: bool | None = None


@dataclass(frozen=True, slots=True)
class IndexCreated(Event):
    """CREATE INDEX."""

    table: Name
    names: tuple[str, ...]
    """Every word within its parentheses: columns, and what is in expressions."""


@dataclass(frozen=True, slots=True)
class Granted(Event):
    """GRANT, also as a default privilege."""

    to_public: bool
    what: str


@dataclass(frozen=True, slots=True)
class PolicyCreated(Event):
    """CREATE or ALTER POLICY."""

    table: Name
    name: str
    roles: tuple[str, ...]
    is_permissive: bool
    shows_all: bool


@dataclass(frozen=True, slots=True)
class FunctionChanged(Event):
    """CREATE or ALTER FUNCTION or PROCEDURE."""

    name: Name
    is_definer: bool | None
    """None where the statement does not say."""
    search_path: tuple[str, ...] | None
    """None where the statement does not say."""
    is_created: bool


@dataclass(frozen=True, slots=True)
class ViewCreated(Event):
    """CREATE VIEW, or one that loses its invoker's rights."""

    name: Name
    is_invoker: bool
    is_materialized: bool
    words: frozenset[str] = field(default_factory=frozenset)
    """Every word of the query."""


@dataclass(frozen=True, slots=True)
class Published(Event):
    """CREATE PUBLICATION, or a table that is added."""

    tables: tuple[tuple[Name, tuple[str, ...] | None], ...]
    """With the columns that are published; None for all of them."""
    everything: bool
