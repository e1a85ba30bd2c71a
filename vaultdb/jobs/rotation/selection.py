"""Which keys and columns are meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vaultdb.errors import ConfigurationError
from vaultdb.orm.attachment import encrypted_columns

if TYPE_CHECKING:
    from sqlalchemy import Column, MetaData, Table

    from vaultdb.keys.wrapped_key import KeyScope


@dataclass(frozen=True, slots=True)
class Selection:
    """Restricts what is done; by default nothing is left out.

    Args:
        tenant: the only one.
        keyset: the only one.
        columns: the only ones, as table.column or schema.table.column.

    """

    tenant: str | None = None
    keyset: str | None = None
    columns: tuple[str, ...] = ()

    def covers(self, scope: KeyScope) -> bool:
        """Whether keys of a scope are meant, as far as tenant and keyset say."""
        return self.tenant in {None, scope.tenant} and self.keyset in {None, scope.keyset}


def selected(metadatas: Iterable[MetaData], selection: Selection) -> dict[Table, list[Column[Any]]]:
    """Return the encrypted columns that are meant, by their table.

    Raises:
        ConfigurationError: a column that is named is not declared as encrypted.

    """
    found: dict[Table, list[Column[Any]]] = {}
    left = set(selection.columns)
    for metadata in metadatas:
        for table in metadata.sorted_tables:
            for column in encrypted_columns(table):
                name = f"{table.fullname}.{column.name}"
                short = f"{table.name}.{column.name}"
                if selection.columns and not {name, short} & set(selection.columns):
                    continue
                left -= {name, short}
                if selection.keyset in {None, keyset_of(column)}:
                    found.setdefault(table, []).append(column)
    if left:
        raise ConfigurationError(
            f"--column {min(left)} is not declared as encrypted; write table.column, or"
            " schema.table.column"
        )
    return found


def keyset_of(column: Column[Any]) -> str:
    """Return the keyset of an encrypted column."""
    keyset: str = column.type.keyset  # type: ignore[attr-defined]
    return keyset
