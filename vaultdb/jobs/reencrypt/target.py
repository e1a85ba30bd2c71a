"""Which columns of which table a job re-encrypts, looked up in today's models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vaultdb.errors import ConfigurationError
from vaultdb.orm.companion import second_companion_of
from vaultdb.orm.writing.table import EncryptedColumn, encrypted_table

if TYPE_CHECKING:
    from sqlalchemy import Column, MetaData, Table


@dataclass(frozen=True, slots=True)
class Filters:
    """What a job leaves alone.

    Args:
        tenant: values under keys of other tenants; None takes all.
        keyset: columns of other keysets; None takes all.

    """

    tenant: str | None
    keyset: str | None


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One encrypted column, with the companions that hold its blind-index values.

    Args:
        encrypted: what the ORM knows about it.
        first: the companion that is searched, if there is one.
        second: the one that is being filled for a change of the index key, if there is one.

    """

    encrypted: EncryptedColumn
    first: Column[Any] | None
    second: Column[Any] | None

    @property
    def name(self) -> str:
        """The column's name in the database."""
        return self.encrypted.column.name

    @property
    def companions(self) -> list[tuple[Column[Any], bool]]:
        """The companions, and whether each is the second one."""
        both = ((self.first, False), (self.second, True))
        return [(column, second) for column, second in both if column is not None]


@dataclass(frozen=True, slots=True)
class Target:
    """A table and its columns to re-encrypt."""

    table: Table
    columns: tuple[TargetColumn, ...]
    filters: Filters


def reencrypt_spec(
    table: Table,
    *,
    columns: Sequence[str] | None = None,
    tenant: str | None = None,
    keyset: str | None = None,
) -> dict[str, Any]:
    """Return what a re-encryption job is told.

    Columns are stored by their logical names, so the job finds them after a rename.

    Args:
        table: as declared today.
        columns: their names or attribute names; None means all that are encrypted.
        tenant: only values under keys of this tenant.
        keyset: only columns of this keyset.

    Raises:
        ConfigurationError: a column that is not encrypted, or nothing is left to do.

    """
    known = _encrypted(table)
    chosen = list(known) if columns is None else [_named(table, name, known) for name in columns]
    names = [
        column.identity.logical_name
        for column in chosen
        if keyset is None or column.type.keyset == keyset
    ]
    if not names:
        raise ConfigurationError(
            f"no column of {table.fullname} is of keyset {keyset!r}; say another --keyset"
        )
    return {"table": table.fullname, "columns": names, "tenant": tenant, "keyset": keyset}


def find_target(metadata: MetaData, spec: Mapping[str, Any]) -> Target:
    """Find table and columns of a job in the models of today.

    Args:
        metadata: the models.
        spec: from `reencrypt_spec`.

    Raises:
        ConfigurationError: they are not declared any more.

    """
    names: list[str] | None = spec.get("columns")
    table = _find_table(metadata, spec["table"], names)
    known = _encrypted(table)
    filters = Filters(spec.get("tenant"), spec.get("keyset"))
    chosen = [
        column
        for column in known
        if (names is None or not _names(column).isdisjoint(names))
        and filters.keyset in {None, column.type.keyset}
    ]
    if not chosen:
        raise ConfigurationError(
            f"the models declare none of the job's columns in {table.fullname} any more: cancel "
            "the job, or give the columns their logical_name= back"
        )
    return Target(table, tuple(map(_target_column, chosen)), filters)


def _find_table(metadata: MetaData, name: str, names: Sequence[str] | None) -> Table:
    table = metadata.tables.get(name)
    if table is not None and names is None:
        return table
    candidates = ([table] if table is not None else []) + list(metadata.tables.values())
    for candidate in candidates:
        found = encrypted_table(candidate)
        if found is not None and names is not None:
            logical = {column.identity.logical_name for column in found.columns.values()}
            if not logical.isdisjoint(names):
                return candidate
    if table is None:
        raise ConfigurationError(
            f"the models have no table {name}, and none with the job's columns: name the models "
            "with --model, or cancel the job"
        )
    return table


def _encrypted(table: Table) -> Sequence[EncryptedColumn]:
    found = encrypted_table(table)
    if found is None:
        raise ConfigurationError(f"table {table.fullname} has no encrypted column")
    return tuple(found.columns.values())


def _names(column: EncryptedColumn) -> set[str]:
    return {column.identity.logical_name, column.column.name}


def _named(table: Table, name: str, known: Sequence[EncryptedColumn]) -> EncryptedColumn:
    for column in known:
        if name in {column.key, column.column.name, column.identity.logical_name}:
            return column
    raise ConfigurationError(f"{table.fullname} has no encrypted column {name}")


def _target_column(column: EncryptedColumn) -> TargetColumn:
    return TargetColumn(column, column.companion, second_companion_of(column.column))
