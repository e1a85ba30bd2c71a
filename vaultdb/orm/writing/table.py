"""What the interceptor has to know about a table, found once and kept on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Table

from vaultdb.errors import ConfigurationError
from vaultdb.keys.wrapped_key import Purpose
from vaultdb.orm.adoption import adopted_by
from vaultdb.orm.adoption_check import check_adoption
from vaultdb.orm.companion import companion_of, second_companion_of
from vaultdb.orm.row_key import row_key_of
from vaultdb.orm.types import Encrypted, is_encrypted
from vaultdb.orm.writing.defaults import is_python_side, takes_context

if TYPE_CHECKING:
    from sqlalchemy import Column

    from vaultdb.crypto.associated_data import ColumnIdentity
    from vaultdb.orm.key_loading import KeysetUse
    from vaultdb.orm.row_key import RowKey

_INFO_KEY = "vaultdb.writing"


@dataclass(frozen=True, slots=True, eq=False)
class EncryptedColumn:
    """A column whose values are encrypted."""

    column: Column[Any]
    key: str
    type: Encrypted[Any]
    identity: ColumnIdentity
    row_key: RowKey | None
    """None with `bind="column"`"""
    companion: Column[Any] | None
    """where the blind index value goes"""
    tenant_column: Column[Any] | None
    """where the row says whose it is"""
    subject_column: Column[Any] | None = None
    """where the row says whose key encrypts it"""
    second_companion: Column[Any] | None = None
    """where the value under the incoming index key goes while the index is re-keyed"""
    plain: Column[Any] | None = None
    """what is written with the value: the same unencrypted, or NULL with `plaintext="empty"`"""

    @property
    def companions(self) -> list[Column[Any]]:
        """The first companion and the second, as far as there are any."""
        return [each for each in (self.companion, self.second_companion) if each is not None]


@dataclass(frozen=True, slots=True, eq=False)
class EncryptedTable:
    """A table with encrypted columns."""

    table: Table
    columns: dict[str, EncryptedColumn]
    companions: dict[str, EncryptedColumn]
    key_columns: tuple[Column[Any], ...]
    """of all row keys together, in declared order"""
    keyset_uses: tuple[KeysetUse, ...]
    context_columns: tuple[Column[Any], ...]
    """plaintext columns with defaults, where one of the table's defaults is shown the row: it must
    see the plaintext, and the defaults of the columns before it"""
    renewing_columns: tuple[Column[Any], ...]
    """the same for onupdate"""
    adopted: dict[str, EncryptedColumn]
    """by the key of the plaintext column that is written with it"""

    @property
    def tenant_keys(self) -> list[str]:
        """The keys of the columns that say whose a row is."""
        columns = self.columns.values()
        return [c.tenant_column.key for c in columns if c.tenant_column is not None]

    @property
    def bound(self) -> list[EncryptedColumn]:
        """The columns whose values are bound to their row."""
        return [column for column in self.columns.values() if column.row_key is not None]


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What was found, and for which shape of which table: columns can be added, `info` copied."""

    table: Table
    width: int
    found: EncryptedTable | None

    def holds_for(self, table: Table) -> bool:
        return self.table is table and self.width == len(table.c)


def encrypted_table(table: Any) -> EncryptedTable | None:
    """Return what is known about the table, or None when no column of it is encrypted.

    Raises:
        ConfigurationError: its encrypted columns cannot be bound to the table's key.

    """
    if not isinstance(table, Table):
        return None
    known: _Known | None = table.info.get(_INFO_KEY)
    if known is not None and known.holds_for(table):
        return known.found
    found = _look_at(table)
    table.info[_INFO_KEY] = _Known(table, len(table.c), found)
    return found


def _look_at(table: Table) -> EncryptedTable | None:
    columns = {c.key: _encrypted_column(table, c) for c in table.c if is_encrypted(c)}
    if not columns:
        return None
    in_keys = {
        key for column in columns.values() if column.row_key for key in column.row_key.columns
    }
    plain = [c for c in table.c if c.key not in columns and c not in in_keys]
    uses: list[KeysetUse] = []
    for column in columns.values():
        uses.append((column.type.keyset, Purpose.DATA))
        if column.companion is not None:
            uses.append((column.type.keyset, Purpose.INDEX))
    return EncryptedTable(
        table=table,
        columns=columns,
        companions={each.key: c for c in columns.values() for each in c.companions},
        key_columns=tuple(column for column in table.c if column in in_keys),
        keyset_uses=tuple(dict.fromkeys(uses)),
        context_columns=_evaluated(table, plain, "default"),
        renewing_columns=_evaluated(table, plain, "onupdate"),
        adopted={c.plain.key: c for c in columns.values() if c.plain is not None},
    )


def _encrypted_column(table: Table, column: Column[Any]) -> EncryptedColumn:
    type_ = column.type
    assert isinstance(type_, Encrypted)
    check_adoption(column)
    return EncryptedColumn(
        column=column,
        key=column.key,
        type=type_,
        identity=type_.identity,
        row_key=None if type_.bind == "column" else row_key_of(table, type_.bind),
        companion=companion_of(column),
        subject_column=_subject_column(table, type_),
        second_companion=second_companion_of(column),
        tenant_column=_tenant_column(table, type_),
        plain=None if type_.options.plaintext == "forbid" else adopted_by(column),
    )


def _evaluated(
    table: Table, plain: Sequence[Column[Any]], default: Literal["default", "onupdate"]
) -> tuple[Column[Any], ...]:
    if not any(takes_context(getattr(column, default)) for column in table.c):
        return ()
    return tuple(column for column in plain if is_python_side(getattr(column, default)))


def _tenant_column(table: Table, type_: Encrypted[Any]) -> Column[Any] | None:
    if type_.tenant_column is None:
        return None
    column = table.columns.get(type_.tenant_column)
    if column is None:
        raise ConfigurationError(
            f"tenant_column= names {type_.tenant_column!r}, which is no column of {table.fullname}"
        )
    return column


def _subject_column(table: Table, type_: Encrypted[Any]) -> Column[Any] | None:
    if type_.subject is None:
        return None
    column = table.columns.get(type_.subject)
    if column is None or is_encrypted(column):
        raise ConfigurationError(
            f"subject= names {type_.subject!r}, which is no column in the clear of {table.fullname}"
        )
    return column
