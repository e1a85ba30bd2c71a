"""Lay a backup of the key table over the table as it is; nothing that was taken away comes back.

A key that was destroyed stays destroyed, whether the table, the file or another backup knows it. A
key that was restricted since stays restricted. A key that is only in the table stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from vaultdb.db.key_rows import KeyRow
from vaultdb.db.key_states import ORDER
from vaultdb.keys.wrapped_key import KeyState


@dataclass(frozen=True, slots=True)
class Overlay:
    """What a restore will do."""

    insert: tuple[KeyRow, ...]
    """Keys that the table does not have; the officer adds them."""
    rewrap: tuple[tuple[KeyRow, KeyRow], ...]
    """The row of the table, and that of the file with a wrapping under a newer KEK."""
    restrict: Mapping[KeyState, tuple[bytes, ...]]
    """Keys of the table to restrict, by the state that they get; destroyed among them."""
    kept_destroyed: tuple[bytes, ...]
    """Keys that live in the file and were destroyed since: they come back as tombstones at most."""
    conflicts: tuple[str, ...]
    """One line for each key that cannot be brought together; the table's stays as it is."""
    same: int
    """Keys that are in both, with nothing to do."""

    @property
    def needs_rotator(self) -> bool:
        """Whether something in the table changes, beside what is added."""
        return bool(self.rewrap or self.restrict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.insert or self.needs_rotator)


def overlay(
    file: Sequence[KeyRow], table: Sequence[KeyRow], destroyed: Collection[bytes]
) -> Overlay:
    """Compare a backup with the table.

    Args:
        file: the rows of the backup.
        table: the rows of the table, of the same realm.
        destroyed: ids that any other backup knows as destroyed.

    """
    plan = _Plan(table, frozenset(destroyed) | {row.key_id for row in file if row.is_tombstone})
    for row in file:
        plan.consider(row)
    for row in table:
        plan.bury(row)
    return plan.result()


class _Plan:
    def __init__(self, table: Sequence[KeyRow], destroyed: frozenset[bytes]) -> None:
        self._by_id = {row.key_id: row for row in table}
        self._by_place = {row.place: row for row in table}
        self._destroyed = destroyed
        self._insert: list[KeyRow] = []
        self._rewrap: list[tuple[KeyRow, KeyRow]] = []
        self._restrict: dict[KeyState, list[bytes]] = {}
        self._kept_destroyed: list[bytes] = []
        self._conflicts: list[str] = []
        self._same = 0

    def consider(self, row: KeyRow) -> None:
        """Decide about one row of the file."""
        live = self._by_id.get(row.key_id)
        if live is None:
            self._add(row)
        elif live.place != row.place:
            self._conflicts.append(f"{_named(row)} is {_named(live)} in the table")
        elif live.is_tombstone:
            self._note_destroyed(row)
        elif row.key_id not in self._destroyed:
            self._change(row, live)

    def bury(self, live: KeyRow) -> None:
        """Destroy what lives in the table and is known to have been destroyed."""
        if live.key_id in self._destroyed and not live.is_tombstone:
            self._restrict.setdefault(KeyState.DESTROYED, []).append(live.key_id)

    def result(self) -> Overlay:
        return Overlay(
            tuple(self._insert),
            tuple(self._rewrap),
            {state: tuple(ids) for state, ids in self._restrict.items()},
            tuple(self._kept_destroyed),
            tuple(self._conflicts),
            self._same,
        )

    def _add(self, row: KeyRow) -> None:
        other = self._by_place.get(row.place)
        if other is not None:
            self._conflicts.append(f"{_named(row)}: the table has {_named(other)} in its place")
            return
        if row.key_id in self._destroyed and not row.is_tombstone:
            self._note_destroyed(row)
            row = replace(row, state=KeyState.DESTROYED.value, wrapped="", wrapped_prev=None)
        self._insert.append(row)

    def _note_destroyed(self, row: KeyRow) -> None:
        if row.is_tombstone:
            self._same += 1
        else:
            self._kept_destroyed.append(row.key_id)

    def _change(self, row: KeyRow, live: KeyRow) -> None:
        state = KeyState(row.state)
        is_restricted = ORDER.index(state) > ORDER.index(KeyState(live.state))
        # An incoming key becomes active by being promoted, which is no restriction.
        if is_restricted and state is not KeyState.ACTIVE:
            self._restrict.setdefault(state, []).append(row.key_id)
        if row.kek_version > live.kek_version:
            self._rewrap.append((live, row))
        elif not is_restricted:
            self._same += 1


def _named(row: KeyRow) -> str:
    whose = f"tenant {row.tenant or '-'}, keyset {row.keyset}, {row.purpose}"
    return f"key {row.key_id.hex()} ({whose}, version {row.version})"
