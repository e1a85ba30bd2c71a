"""Where declarations are kept: with the tables, in their `MetaData`.

Not in `Table.info`, which Alembic writes into migrations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table

    from vaultdb.roles.access import Access

_KEY = "vaultdb.access"


def declare(access: Access) -> None:
    """Keep a declaration.

    Raises:
        ConfigurationError: another one was made for this table; classes may share one.

    """
    kept: dict[str, Access] = access.table.metadata.info.setdefault(_KEY, {})
    before = kept.get(access.table.key)
    if before is not None and before.table is access.table and before != access:
        differences = [
            name for name in access.__slots__ if getattr(before, name) != getattr(access, name)
        ]
        raise ConfigurationError(
            f"access to {access.table.fullname} is declared twice, with different "
            f"{', '.join(differences)}: declare it once for each table, and for classes that share "
            "a table with one of them"
        )
    kept[access.table.key] = access


def declared(metadata: MetaData) -> Mapping[str, Access]:
    """Return what is declared for the tables of `metadata`, by `Table.key`.

    A copy that `Table.to_metadata()` makes is another table: it has no declaration until it is
    given one.
    """
    kept: dict[str, Access] = metadata.info.get(_KEY, {})
    return {key: access for key, access in kept.items() if metadata.tables.get(key) is access.table}


def undeclared(metadata: MetaData) -> list[Table]:
    """Return the tables of `metadata` without a declaration, which nobody but the owner can use."""
    known = declared(metadata)
    return [table for key, table in sorted(metadata.tables.items()) if key not in known]
