"""How long ago keys were made and changed, by the server's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from vaultdb.db.schema import data_key_table as table

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Age:
    """Seconds since two moments in the life of a key.

    Args:
        created: since it was made.
        changed: since its state changed last, or since it was made.

    """

    created: float
    changed: float


def ages(connection: Connection, realm: UUID) -> dict[bytes, Age]:
    """Return the ages of all keys of the realm, by key id."""
    now = func.clock_timestamp()
    changed = func.coalesce(table.c.state_changed_at, table.c.created_at)
    seconds = [func.extract("epoch", now - moment) for moment in (table.c.created_at, changed)]
    statement = select(table.c.key_id, *seconds).where(table.c.realm == realm)
    rows: Any = connection.execute(statement)
    return {bytes(key_id): Age(float(created), float(since)) for key_id, created, since in rows}
