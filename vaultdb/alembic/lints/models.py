"""What the rules ask of the models: bound keys, pairs of columns, and who has declared access."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import MetaData, Table

from vaultdb.alembic.lints.reader import Name
from vaultdb.alembic.lints.schema import DEFAULT
from vaultdb.alembic.operations.expansion import ENCRYPTED_SUFFIX
from vaultdb.errors import ConfigurationError
from vaultdb.orm.adoption import REPLACES
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.row_key import row_key_of
from vaultdb.roles.declared import undeclared


class Models:
    """The models, by the names of their tables.

    Args:
        metadatas: of the application.

    """

    def __init__(self, metadatas: Iterable[MetaData]) -> None:
        self._tables: dict[Name, Table] = {}
        self.undeclared: set[Name] = set()
        for metadata in metadatas:
            self._tables |= {_place(table): table for table in metadata.tables.values()}
            self.undeclared |= {_place(table) for table in undeclared(metadata)}

    def bound_key(self, name: Name) -> set[str] | None:
        """Return the columns that values of a table are bound to; None if it is not known."""
        table = self._tables.get(name)
        if table is None:
            return None
        found: set[str] = set()
        for column in encrypted_columns(table):
            try:
                key = row_key_of(table, column.type.bind)  # type: ignore[attr-defined]
            except ConfigurationError:
                continue  # the mapper says so, and better
            found |= {str(each.name) for each in key.columns}
        return found

    def replaced(self, name: Name) -> dict[str, str]:
        """Return the encrypted columns by the plaintext columns that they say they replace."""
        table = self._tables.get(name)
        if table is None:
            return {}
        columns = encrypted_columns(table)
        return {each.info[REPLACES]: str(each.name) for each in columns if REPLACES in each.info}


def partner(plain: str, encrypted: Iterable[str], replaced: dict[str, str]) -> str | None:
    """Return the encrypted column that replaces a plaintext one."""
    for name in (replaced.get(plain), plain + ENCRYPTED_SUFFIX):
        if name is not None and name in encrypted:
            return name
    return None


def _place(table: Table) -> Name:
    return (table.schema or DEFAULT, table.name)
