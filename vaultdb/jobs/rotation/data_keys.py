"""Which data keys get a new version, and which are still in the middle of getting one.

A rotation is unfinished as long as rows are under an older version, or an older version may still
be written with by a process that has not heard of the newest one: it is finished, and no further
version is made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose, WrappedKey

if TYPE_CHECKING:
    from vaultdb.jobs.rotation.ages import Age
    from vaultdb.jobs.rotation.selection import Selection
    from vaultdb.jobs.rotation.usage import Usage


MAKING = 3600.0
"""Seconds for which one run makes keys, at most: 1,000,000 keys at 300 a second."""


@dataclass(frozen=True, slots=True)
class ScopePlan:
    """What becomes of the keys of one scope.

    Args:
        scope: whose.
        newest: the highest version there is.
        older: the versions before it that are not destroyed.
        rows: values that are to be re-encrypted.
        needs_version: whether a new version is to be made.

    """

    scope: KeyScope
    newest: WrappedKey
    older: tuple[WrappedKey, ...]
    rows: int
    needs_version: bool

    @property
    def is_unfinished(self) -> bool:
        """Whether an earlier rotation is to be finished."""
        return not self.needs_version

    @property
    def is_incoming(self) -> bool:
        """Whether the newest is an index key that waits to be promoted."""
        return self.newest.state is KeyState.INCOMING


def by_scope(keys: Sequence[WrappedKey]) -> dict[KeyScope, list[WrappedKey]]:
    """Return the keys that are not destroyed by scope, the newest version first."""
    found: defaultdict[KeyScope, list[WrappedKey]] = defaultdict(list)
    for key in sorted(keys, key=lambda key: -key.version):
        if key.state is not KeyState.DESTROYED:
            found[key.scope].append(key)
    return dict(found)


def data_key_plans(found: Usage, selection: Selection, keysets: Collection[str]) -> list[ScopePlan]:
    """Decide for each scope of data keys.

    Args:
        found: all columns.
        selection: which scopes are meant.
        keysets: of the columns that can be re-encrypted here; keys of others are left alone.

    """
    rows = found.by_key()
    plans = []
    for scope, (newest, *older) in sorted(by_scope(list(found.keys.values())).items()):
        if scope.purpose is not Purpose.DATA or scope.keyset not in keysets:
            continue
        if selection.covers(scope):
            plans.append(_plan(scope, newest, tuple(older), rows))
    return plans


def without_rotated(plans: Sequence[ScopePlan], aged: Mapping[bytes, Age]) -> list[ScopePlan]:
    """Leave out the scopes that are done already in a rotation that is unfinished for others.

    Args:
        plans: of all scopes.
        aged: by key id.

    """
    open_ = [aged[each.newest.key_id].created for each in plans if each.is_unfinished]
    if not open_:
        return list(plans)
    began = max(open_) + MAKING
    return [
        each
        for each in plans
        if each.is_unfinished
        or each.newest.version == 1
        or aged[each.newest.key_id].created > began
    ]


def _plan(
    scope: KeyScope, newest: WrappedKey, older: tuple[WrappedKey, ...], rows: dict[bytes, int]
) -> ScopePlan:
    behind = sum(rows.get(key.key_id, 0) for key in older)
    unfinished = bool(behind) or any(key.state is KeyState.ACTIVE for key in older)
    needs_version = newest.state is not KeyState.ACTIVE or not unfinished
    if needs_version:
        behind += rows.get(newest.key_id, 0)
    return ScopePlan(scope, newest, older, behind, needs_version)
