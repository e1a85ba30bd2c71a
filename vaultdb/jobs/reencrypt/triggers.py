"""Triggers of the user's that a re-encryption fires: they cannot be switched off, so they are told.

Re-encryption sets the encrypted columns and nothing else, so what SQLAlchemy renews with `onupdate`
stays as it is. A trigger on the table itself runs all the same: only a superuser may keep it from
that (`session_replication_role`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.jobs.work.row_keys import table_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vaultdb.jobs.reencrypt.target import Target

_LISTENING = text(shipped_sql("vaultdb.jobs.reencrypt", "triggers"))


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger that each re-encrypted row fires.

    Args:
        name: as in the database.
        function: what it runs.
        before: whether it may change the row: a renewed `updated_at` would be one of its changes.

    """

    name: str
    function: str
    before: bool


def listening_triggers(connection: Connection, target: Target) -> list[Trigger]:
    """Return the enabled triggers that an update of the target's columns fires, in order.

    A trigger on `UPDATE OF` other columns does not listen.
    """
    names = [each.name for each in target.columns]
    names += [companion.name for each in target.columns for companion, _ in each.companions]
    parameters = {"table": table_name(target.table).as_string(None), "columns": names}
    rows = connection.execute(_LISTENING, parameters)
    return [Trigger(row.name, row.function, row.before) for row in rows]
