"""The seam to the key table, and the store in memory that tests use."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable
from uuid import UUID

from vaultdb.keys.wrapped_key import KeyScope, KeyState, WrappedKey


@runtime_checkable
class KeyStore(Protocol):
    """Reads and adds wrapped DEKs. Called from any thread, also in a child after a fork."""

    def by_ids(self, realm: UUID, key_ids: Collection[bytes]) -> Sequence[WrappedKey]:
        """Return the keys with these ids, in any order and any state, in one query."""
        ...

    def by_scopes(self, realm: UUID, scopes: Collection[KeyScope]) -> Sequence[WrappedKey]:
        """Return every version that is not destroyed, in one query."""
        ...

    def insert(self, key: WrappedKey) -> WrappedKey:
        """Add a key on a connection of its own, commit, and return the row that is there now.

        Two processes may create the same version at once: the first wins, and both get its row.
        """
        ...

    def insert_all(self, realm: UUID, keys: Sequence[WrappedKey]) -> Sequence[WrappedKey]:
        """Add keys of one realm likewise, in one transaction; return their rows in this order."""
        ...


class MemoryKeyStore:
    """A key table in memory, for tests and the memory profile; gone with the process."""

    def __init__(self) -> None:
        self._rows: dict[bytes, WrappedKey] = {}
        self._lock = threading.Lock()

    def by_ids(self, realm: UUID, key_ids: Collection[bytes]) -> Sequence[WrappedKey]:
        """Return the keys with these ids."""
        rows = (self._rows.get(key_id) for key_id in key_ids)
        return [row for row in rows if row is not None and row.realm == realm]

    def by_scopes(self, realm: UUID, scopes: Collection[KeyScope]) -> Sequence[WrappedKey]:
        """Return every version that is not destroyed."""
        wanted = set(scopes)
        return [
            row
            for row in list(self._rows.values())
            if row.realm == realm and row.scope in wanted and row.state is not KeyState.DESTROYED
        ]

    def insert(self, key: WrappedKey) -> WrappedKey:
        """Add a key unless its version exists; return the row that is there now."""
        return self._insert([key])[0]

    def insert_all(self, realm: UUID, keys: Sequence[WrappedKey]) -> Sequence[WrappedKey]:
        """Add keys unless their versions exist; return the rows that are there now."""
        del realm  # each has its own
        return self._insert(keys)

    def _insert(self, keys: Sequence[WrappedKey]) -> list[WrappedKey]:
        with self._lock:
            there = {(row.realm, row.scope, row.version): row for row in self._rows.values()}
            rows = [there.setdefault((key.realm, key.scope, key.version), key) for key in keys]
            self._rows.update((row.key_id, row) for row in rows)
            return rows

    def replace(self, key: WrappedKey) -> None:
        """Overwrite the row with this key id, as a rewrap or a change of state does."""
        with self._lock:
            self._rows[key.key_id] = key

    def delete(self, key_id: bytes) -> None:
        """Remove a row, as only somebody with write access to the table can."""
        with self._lock:
            self._rows.pop(key_id, None)
