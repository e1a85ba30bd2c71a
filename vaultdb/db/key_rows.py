"""Whole rows of the key table, as a backup of it keeps them and a restore brings them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.dialects.postgresql import insert

from vaultdb.db.schema import data_key_table as table
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One row of `vaultdb.data_key`, in the types of Python; nothing in it is secret.

    The wrapped texts open in Vault only. They are left out of the repr all the same.
    """

    key_id: bytes
    realm: UUID
    tenant: str
    keyset: str
    purpose: str
    subject: str
    version: int
    state: str
    kek_version: int
    wrapped: str = field(repr=False)
    wrapped_prev: str | None = field(repr=False)
    created_at: datetime
    rewrapped_at: datetime | None
    state_changed_at: datetime | None

    @property
    def scope(self) -> KeyScope:
        """The values that the key serves."""
        return KeyScope(self.tenant, self.keyset, Purpose(self.purpose), self.subject)

    @property
    def place(self) -> tuple[KeyScope, int]:
        """What only one key of a realm may have: its scope and its version."""
        return self.scope, self.version

    @property
    def is_tombstone(self) -> bool:
        """Whether the key was destroyed."""
        return self.state == KeyState.DESTROYED.value


_COLUMNS = [table.c[each.name] for each in fields(KeyRow)]


def read_rows(connection: Connection, realm: UUID) -> tuple[datetime, list[KeyRow]]:
    """Return the server's time and every row of the realm at that time, tombstones included."""
    order = [table.c[name] for name in ("tenant", "keyset", "purpose", "subject", "version")]
    statement = select(*_COLUMNS).where(table.c.realm == realm).order_by(*order)
    taken_at = connection.scalar(select(func.statement_timestamp()))
    assert taken_at is not None
    return taken_at, [_row(row) for row in connection.execute(statement)]


def insert_rows(connection: Connection, rows: Sequence[KeyRow]) -> set[bytes]:
    """Add rows as they are; return the ids of those that were not there.

    Args:
        connection: of a login that may add keys, in a transaction.
        rows: of one realm.

    """
    if not rows:
        return set()
    # As many parameter sets of one statement, not as one statement of many: compiled once.
    statement = insert(table).on_conflict_do_nothing().returning(table.c.key_id)
    values = [{each.name: getattr(row, each.name) for each in fields(KeyRow)} for row in rows]
    return set(map(bytes, connection.scalars(statement, values)))


def _row(row: Row[Any]) -> KeyRow:
    values = dict(row._mapping)  # noqa: SLF001  # its public name
    return KeyRow(**{**values, "key_id": bytes(row.key_id)})
