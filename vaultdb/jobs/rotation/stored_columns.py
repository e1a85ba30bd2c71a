"""Which columns of a database hold envelopes and blind-index values, declared or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from vaultdb.db.places import Place
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.keys.wrapped_key import Purpose
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.companion import is_companion

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData, Table

_COLUMNS = text(shipped_sql("vaultdb.jobs.rotation", "columns"))


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """One column that names data keys.

    Args:
        place: where it is; the schema is always given when the database has it.
        purpose: data for envelopes, index for blind-index values.
        declared: where a model declares it, perhaps without a schema; None when none does.
        problem: why its rows cannot be counted, with the remedy; None when they can.
        estimated_rows: of its table, by PostgreSQL's statistics; -1 when there are none.

    """

    place: Place
    purpose: Purpose
    declared: Place | None
    problem: str | None = None
    estimated_rows: int = -1

    @property
    def is_declared(self) -> bool:
        """Whether a model declares it."""
        return self.declared is not None


def stored_columns(connection: Connection, metadatas: Iterable[MetaData]) -> list[StoredColumn]:
    """Return the columns, by table.

    Args:
        connection: by the login whose rights are asked for.
        metadatas: the models; without any, only columns of the domain are found.

    """
    declared = [each for metadata in metadatas for each in _declared(metadata)]
    places = [place for place, _ in declared]
    rows = connection.execute(
        _COLUMNS,
        {
            "schemas": [place.schema for place in places],
            "tables": [place.table_name for place in places],
            "columns": [place.column for place in places],
        },
    ).all()
    found = []
    for row in rows:
        place = Place(row.schema_name, row.table_name, row.column_name)
        declaration, purpose = (
            (None, Purpose.DATA) if row.position is None else declared[row.position - 1]
        )
        problem = _problem(place, is_readable=row.is_readable, hides_rows=row.hides_rows)
        found.append(StoredColumn(place, purpose, declaration, problem, row.estimated_rows))
    there = {row.position for row in rows}
    found += [
        StoredColumn(place, purpose, place, _MISSING)
        for position, (place, purpose) in enumerate(declared, start=1)
        if position not in there
    ]
    return found


_MISSING = "the database does not have it; run: vaultdb migrate plan"


def declared_places(table: Table) -> Iterator[tuple[Place, Purpose]]:
    """Yield the encrypted columns and companions of a table."""
    encrypted = set(encrypted_columns(table))
    for column in table.columns:
        if column in encrypted or is_companion(column):
            purpose = Purpose.DATA if column in encrypted else Purpose.INDEX
            yield Place(table.schema or "", table.name, column.name), purpose


def _declared(metadata: MetaData) -> Iterator[tuple[Place, Purpose]]:
    for table in metadata.tables.values():
        yield from declared_places(table)


def _problem(place: Place, *, is_readable: bool, hides_rows: bool) -> str | None:
    if not is_readable:
        return (
            "this login may not read it; grant SELECT to the rotator's capability role (vaultdb"
            " roles plan)"
        )
    if hides_rows:
        return (
            "row-level security hides rows of it from this login; let the rotator's capability"
            f" role see all rows of {place.schema}.{place.table_name} (vaultdb.access)"
        )
    return None
