"""Encrypted columns that adopt a plaintext column of the same table, and which column that is.

With `plaintext="allow"` one attribute stands for two columns: what is written goes into both, and
where there is no ciphertext yet, the plaintext is read. Everything else in this package asks
`plaintext_of`, whose answer is None for all other columns.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column

from vaultdb.errors import ConfigurationError

REPLACES: Final = "vaultdb.replaces"
"""The key in an encrypted column's `info`: the plaintext column's name in the database."""


def note_adoption(column: Column[Any]) -> None:
    """Tell autogenerate, which looks at `info`, what an encrypted column replaces."""
    adopts = column.type.options.adopts  # type: ignore[attr-defined]
    if adopts is not None:
        column.info.setdefault(REPLACES, adopts)


def plaintext_of(column: Column[Any]) -> Column[Any] | None:
    """Return the plaintext column that is still read, None when there is none.

    Raises:
        ConfigurationError: the table does not have it.

    """
    type_: Any = column.type
    return adopted_by(column) if getattr(type_, "allows_plaintext", False) else None


def adopted_by(column: Column[Any]) -> Column[Any]:
    """Return the column that an encrypted one adopts.

    Raises:
        ConfigurationError: the table does not have it.

    """
    type_: Any = column.type
    for other in column.table.columns:
        if other.name == type_.options.adopts and other is not column:
            return other
    raise ConfigurationError(
        f"{column} adopts {type_.options.adopts!r}, which is no column of the table in the models: "
        'declare it there, or declare plaintext="forbid"'
    )
