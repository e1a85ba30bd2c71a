"""A column on its way to being encrypted: the old one, the new one, and what the old one holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from vaultdb.alembic.operations.expansion import ENCRYPTED_SUFFIX
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.foreign.formats import Format
from vaultdb.jobs.adopt.foreign.padding import Padding
from vaultdb.jobs.adopt.secrets import KeySource
from vaultdb.jobs.work.row_keys import RowKeys, row_keys
from vaultdb.orm.adoption import REPLACES
from vaultdb.orm.writing.table import encrypted_table

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData, Table
    from sqlalchemy.types import TypeEngine

    from vaultdb.orm.writing.table import EncryptedColumn

_SCHEMA = """
    SELECT n.nspname FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = %s::pg_catalog.regclass
"""


@dataclass(frozen=True, slots=True)
class Foreign:
    """What another package encrypted the old column with.

    Args:
        format: whose.
        key: where its key is.
        padding: of `sqlalchemy-utils-aes`.

    """

    format: Format
    key: KeySource
    padding: Padding = Padding.NAIVE

    def spec(self) -> dict[str, Any]:
        """Return what a job stores: names and places."""
        file = self.key.file
        return {
            "format": self.format.value,
            "padding": self.padding.value,
            "key_file": None if file is None else str(file.absolute()),
            "key_vault": self.key.vault,
        }

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Foreign:
        """Return what was stored."""
        file = spec["key_file"]
        source = KeySource(None if file is None else Path(file), spec["key_vault"])
        return cls(Format(spec["format"]), source, Padding(spec["padding"]))


@dataclass(frozen=True, slots=True, eq=False)
class Adoption:
    """An old column and the encrypted one that replaces it.

    Args:
        table: as declared.
        column: the encrypted column.
        plain: the old column's name in the database.
        plain_type: as the models say, None when they do not know the old column any more.
        keys: how the table is walked.

    """

    table: Table
    column: EncryptedColumn
    plain: str
    plain_type: TypeEngine[Any] | None
    keys: RowKeys

    @property
    def encrypted(self) -> str:
        """The encrypted column's name in the database."""
        return str(self.column.column.name)

    @property
    def companions(self) -> list[str]:
        """The names of the blind index columns."""
        return [str(each.name) for each in self.column.companions]

    @property
    def target(self) -> str:
        """The name of jobs on it."""
        return f"{self.table.fullname}.{self.plain}"

    @property
    def mode(self) -> str:
        """What the models say of the old column: `allow`, `empty`, `forbid`, or `gone`."""
        options = self.column.type.options
        if options.adopts is not None:
            return str(options.plaintext)
        return "gone" if self.plain_type is None else "allow"


def placed(adoption: Adoption, connection: Connection) -> Adoption:
    """Return the adoption with its table's schema named, for logins that search no schema.

    Args:
        adoption: the column.
        connection: by a login that finds the table as the models name it.

    """
    driver: Any = connection.connection.driver_connection
    row = driver.execute(_SCHEMA, [adoption.keys.table.as_string(driver)]).fetchone()
    table = sql.Identifier(row[0], adoption.table.name)
    return replace(adoption, keys=replace(adoption.keys, table=table))


def adoptions(metadata: Iterable[MetaData]) -> list[Adoption]:
    """Return every adoption that the models declare, in their tables' order."""
    tables = [table for each in metadata for table in each.sorted_tables]
    found = []
    for table in tables:
        known = encrypted_table(table)
        columns = () if known is None else known.columns.values()
        found += [adoption_of(table, column) for column in columns if source_name(column)]
    return found


def find_adoption(metadata: Iterable[MetaData], table: str, column: str) -> Adoption:
    """Return the adoption of a column, which may be named by either of its two names.

    Args:
        metadata: the models.
        table: its name, with the schema when there is one.
        column: the encrypted column's name in the database or in the model, or the old one's.

    Raises:
        ConfigurationError: no such table or column, or nothing says what the column replaces.

    """
    declared = next((each.tables[table] for each in metadata if table in each.tables), None)
    if declared is None:
        raise ConfigurationError(f"the models have no table {table}")
    known = encrypted_table(declared)
    for each in () if known is None else known.columns.values():
        if column in {each.column.name, each.key, source_name(each)}:
            return adoption_of(declared, each)
    raise ConfigurationError(f"the models have no encrypted column {column} in table {table}")


def adoption_of(table: Table, column: EncryptedColumn) -> Adoption:
    """Return the adoption of an encrypted column.

    Raises:
        ConfigurationError: nothing says what it replaces.

    """
    name = source_name(column)
    if name is None:
        raise ConfigurationError(
            f"nothing says which column {column.column} replaces: declare it with"
            f' encrypted(..., adopts="name") or call it name{ENCRYPTED_SUFFIX}'
        )
    plain = next((each for each in table.columns if each.name == name), None)
    type_ = None if plain is None else plain.type
    return Adoption(table, column, name, type_, row_keys(table))


def source_name(column: EncryptedColumn) -> str | None:
    """Return the name, in the database, of the column that an encrypted one replaces."""
    declared = declared_source(column.column)
    if declared is not None:
        return declared
    name = str(column.column.name)
    short = name.removesuffix(ENCRYPTED_SUFFIX)
    return short if short and short != name else None


def declared_source(column: Any) -> str | None:
    """Return what a declaration says of the column that is replaced."""
    declared: str | None = column.type.options.adopts or column.info.get(REPLACES)
    return declared
