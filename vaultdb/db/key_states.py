"""Changing what data keys may still do; every change is compare-and-set.

A state can only take rights away, and the table itself refuses anything else.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, LargeBinary, Update, any_, bindparam, func, update
from sqlalchemy.dialects.postgresql import ARRAY

from vaultdb.db.schema import data_key_table as table
from vaultdb.keys.wrapped_key import KeyState, Purpose

ORDER = (
    KeyState.INCOMING,
    KeyState.ACTIVE,
    KeyState.DECRYPT_ONLY,
    KeyState.DISABLED,
    KeyState.DESTROYED,
)
"""From the least restricted state to the most."""


class KeyStates:
    """The states of a realm's data keys, as a login with the rotator capability changes them.

    Args:
        connection: in a transaction, which the caller commits: `PostgresKeyStore.connection` of
            the rotator's or the shredder's login.
        realm: the realm of the settings.

    """

    def __init__(self, connection: Connection, realm: UUID) -> None:
        self._connection = connection
        self._realm = realm

    def restrict(self, key_ids: Collection[bytes], state: KeyState) -> frozenset[bytes]:
        """Give keys a more restricted state, and return the ids of those that had a lesser one.

        A key that was disabled is not made decrypt_only again; its id is not returned. Destroying
        removes both wrappings for good, and leaves a tombstone.

        Args:
            key_ids: of data keys and index keys of this realm; others are left alone.
            state: the state to have from now on.

        Raises:
            ValueError: nothing is less restricted than `state`.

        """
        lesser = ORDER[: ORDER.index(state)]
        if not lesser or state is KeyState.ACTIVE:
            raise ValueError(f"{state} restricts nothing; an incoming key is promoted")
        change = self._change(key_ids, state).where(table.c.state.in_(lesser))
        if state is KeyState.DESTROYED:
            change = change.values(wrapped="", wrapped_prev=None)
        return self._run(change)

    def promote(self, key_ids: Collection[bytes]) -> frozenset[bytes]:
        """Make incoming index keys active, and return the ids of those that were incoming.

        The highest version then fills the column that is searched.
        """
        change = self._change(key_ids, KeyState.ACTIVE)
        incoming = table.c.state == KeyState.INCOMING.value
        return self._run(change.where(incoming, table.c.purpose == Purpose.INDEX.value))

    def _change(self, key_ids: Collection[bytes], state: KeyState) -> Update:
        ids = bindparam("key_ids", list(key_ids), type_=ARRAY(LargeBinary))
        return (
            update(table)
            .where(table.c.realm == self._realm, table.c.key_id == any_(ids))
            .values(state=state.value, state_changed_at=func.now())
        )

    def _run(self, change: Update) -> frozenset[bytes]:
        return frozenset(map(bytes, self._connection.scalars(change.returning(table.c.key_id))))
