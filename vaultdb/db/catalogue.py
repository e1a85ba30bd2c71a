"""The catalogue of logical names: under which name each column has been encrypted.

The logical name is part of every ciphertext. It defaults to `schema.table.column`, so renaming
a column would silently make its values unreadable; the catalogue remembers the names, and says
which `logical_name=` to write down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sqlalchemy import Connection, MetaData, func, select, update
from sqlalchemy.dialects.postgresql import insert

from vaultdb.db.places import Place, existing_places
from vaultdb.db.schema import logical_name_table as table
from vaultdb.errors import ConfigurationError


@runtime_checkable
class NamedType(Protocol):
    """What the catalogue reads of an encrypted column's type."""

    @property
    def logical_name(self) -> str | None:
        """The name in associated data; None before the type is attached to a column."""
        ...

    @property
    def type_tag(self) -> str:
        """The codec's name, which is in associated data too."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """One logical name and the column that has it."""

    name: str
    place: Place
    type_tag: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the declared names differ from the recorded ones."""

    new: tuple[Name, ...] = ()
    moved: tuple[Name, ...] = ()
    """Recorded for another column before: a rename that kept its name."""
    orphans: tuple[Name, ...] = ()
    """Recorded, no longer declared, and their column is gone or its table is declared without."""
    retyped: tuple[Name, ...] = ()
    missing: tuple[Name, ...] = ()
    """Declared for a column that the database does not have yet."""

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to record and nothing to complain about."""
        return not (self.new or self.moved or self.orphans or self.retyped or self.missing)

    def problems(self) -> list[str]:
        """Return what keeps the names from being recorded, each with its remedy."""
        found = [
            f"column {name.place} is encrypted as {name.type_tag} but {name.name} was recorded with"
            " another type: give the new column a logical_name= of its own and re-encrypt"
            for name in self.retyped
        ]
        found += [
            f"column {name.place} does not exist in the database: run your own migrations first"
            for name in self.missing
        ]
        if self.new and self.orphans:
            for orphan in self.orphans:
                fits = [new for new in self.new if new.type_tag == orphan.type_tag] or self.new
                choices = " or ".join(str(name.place) for name in fits)
                found.append(
                    f"the recorded name {orphan.name} has lost its column while {choices} is new:"
                    f' if it was renamed, declare logical_name="{orphan.name}" there;'
                    f" if it was dropped, run: vaultdb names retire {orphan.name}"
                )
        return found


def declared_names(metadatas: Iterable[MetaData]) -> list[Name]:
    """Return the names of all encrypted columns.

    Raises:
        ConfigurationError: two columns have one name, so their values could be exchanged.

    """
    found: dict[str, Name] = {}
    for name in _declared(metadatas):
        other = found.setdefault(name.name, name)
        if other.place != name.place:
            raise ConfigurationError(
                f"columns {other.place} and {name.place} have one logical name, {name.name}, so"
                " their values could be exchanged; give one of them another logical_name="
            )
    return sorted(found.values())


def _declared(metadatas: Iterable[MetaData]) -> Iterator[Name]:
    for metadata in metadatas:
        for declared in metadata.tables.values():
            for column in declared.columns:
                kind = column.type
                if isinstance(kind, NamedType) and kind.logical_name is not None:
                    place = Place(declared.schema or "", declared.name, column.name)
                    yield Name(kind.logical_name, place, kind.type_tag)


def compare(connection: Connection, declared: Sequence[Name]) -> Comparison:
    """Compare declared names with the catalogue and with the columns that exist."""
    recorded = _recorded(connection)
    names = {name.name: name for name in declared}
    tables = {name.place.table for name in declared}
    gone = [name for name in recorded.values() if name.name not in names]
    places = [name.place for name in (*declared, *gone)]
    existing = existing_places(connection, places)
    return Comparison(
        new=tuple(name for name in declared if name.name not in recorded),
        moved=tuple(
            name
            for name in declared
            if name.name in recorded and recorded[name.name].place != name.place
        ),
        orphans=tuple(
            name for name in gone if name.place.table in tables or name.place not in existing
        ),
        retyped=tuple(
            name
            for name in declared
            if name.name in recorded and recorded[name.name].type_tag != name.type_tag
        ),
        missing=tuple(name for name in declared if name.place not in existing),
    )


def record(connection: Connection, declared: Sequence[Name]) -> Comparison:
    """Record the declared names; return what there was to record.

    Raises:
        ConfigurationError: a column was renamed without keeping its name, changed its type, or
            does not exist; every problem is in the text, with its remedy.

    """
    difference = compare(connection, declared)
    if problems := difference.problems():
        raise ConfigurationError("; ".join(problems))
    # Two columns may have exchanged their places, and a place has one living name.
    moving = [name.name for name in difference.moved]
    connection.execute(update(table).where(table.c.name.in_(moving)).values(retired_at=func.now()))
    for name in (*difference.moved, *difference.new):
        values = {
            "schema_name": name.place.schema,
            "table_name": name.place.table_name,
            "column_name": name.place.column,
            "type_tag": name.type_tag,
            "retired_at": None,
        }
        statement = insert(table).values(name=name.name, **values)
        connection.execute(
            statement.on_conflict_do_update(index_elements=[table.c.name], set_=values)
        )
    return difference


def retire(connection: Connection, name: str) -> None:
    """Say that a column is gone for good, so that its name no longer counts as an orphan.

    Raises:
        ConfigurationError: no such name.

    """
    statement = update(table).where(table.c.name == name, table.c.retired_at.is_(None))
    if connection.execute(statement.values(retired_at=func.now())).rowcount == 0:
        raise ConfigurationError(
            f"no logical name {name} is recorded; look at: vaultdb names check"
        )


def _recorded(connection: Connection) -> dict[str, Name]:
    rows = connection.execute(select(table).where(table.c.retired_at.is_(None)))
    names = (
        Name(row.name, Place(row.schema_name, row.table_name, row.column_name), row.type_tag)
        for row in rows
    )
    return {name.name: name for name in names}
