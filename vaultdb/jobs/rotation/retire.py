"""The end of a data key that nothing needs: first it opens no value, then it is destroyed.

A key is not needed once no row, no blind index and no backup that may exist names it, and no
process can still write with it. Both steps can be undone only from a backup of the key table, so
each is checked anew, and a grace period lies between them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from vaultdb.db.key_states import KeyStates
from vaultdb.db.manifests import needed_key_ids
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.rotation.ages import Age, ages
from vaultdb.jobs.rotation.data_keys import by_scope
from vaultdb.jobs.rotation.usage import Usage, usage
from vaultdb.keys.wrapped_key import KeyState, Purpose, WrappedKey

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from vaultdb.jobs.rotation.logins import Logins
    from vaultdb.jobs.rotation.selection import Selection

GRACE = 7 * 86_400.0
"""Seconds between the two steps: long enough that somebody misses what cannot be read any more."""
PATIENCE = 60.0
"""Seconds to wait for transactions that began before the rows were counted."""
TICK = 0.2

NEXT = {KeyState.DECRYPT_ONLY: KeyState.DISABLED, KeyState.DISABLED: KeyState.DESTROYED}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may become of one key.

    Args:
        key: which.
        step: the state that it gets; None when it stays.
        reasons: why it stays, each with what to do.

    """

    key: WrappedKey
    step: KeyState | None
    reasons: tuple[str, ...] = ()


class Retirement:
    """Looks at the keys that a newer version has replaced, and retires those not needed.

    Args:
        logins: of the rotator.
        metadatas: the models; without them only columns of the domain are counted.
        selection: whose keys.
        ttl: the hard lifetime of keys in every process, in seconds.
        grace: seconds that a key is disabled before it is destroyed.

    """

    def __init__(
        self,
        logins: Logins,
        metadatas: Sequence[MetaData],
        selection: Selection,
        *,
        ttl: float,
        grace: float = GRACE,
    ) -> None:
        self._logins = logins
        self._metadatas = metadatas
        self._selection = selection
        self._ttl = ttl
        self._grace = grace
        self._realm = logins.load("rotator").realm

    def judge(self, key_ids: Sequence[bytes] = ()) -> list[Verdict]:
        """Tell of each key that is not active and not destroyed what may become of it.

        Args:
            key_ids: look at these only, whatever their state.

        Raises:
            ConfigurationError: a transaction runs for too long to count the rows.

        """
        with self._logins.store("rotator") as store:
            keys = store.all(self._realm)
        with self._logins.rows("count the rows under each key") as connection:
            aged = ages(connection, self._realm)
            wait_for_writers(connection)
            found = usage(connection, self._metadatas, keys)
            needed = needed_key_ids(connection)
        unknown = set(key_ids) - found.keys.keys()
        if unknown:
            raise ConfigurationError(
                f"there is no key {min(unknown).hex()}; look at: vaultdb keys list"
            )
        return [
            self._verdict(key, newest, found, aged, needed)
            for newest, key in _candidates(keys, frozenset(key_ids))
            if key_ids or self._selection.covers(key.scope)
        ]

    def carry_out(self, verdicts: Sequence[Verdict]) -> list[WrappedKey]:
        """Give keys their next state; return those that still had the one before.

        Args:
            verdicts: from `judge`, just now.

        """
        done: list[WrappedKey] = []
        with (
            self._logins.store("rotator") as store,
            store.connection(self._realm, "retire data keys") as connection,
        ):
            states = KeyStates(connection, self._realm)
            for step in NEXT.values():
                keys = {each.key.key_id: each.key for each in verdicts if each.step is step}
                done += [keys[key_id] for key_id in states.restrict(list(keys), step)]
        return done

    def _verdict(
        self,
        key: WrappedKey,
        newest: WrappedKey,
        found: Usage,
        aged: Mapping[bytes, Age],
        needed: Mapping[bytes, list[str]],
    ) -> Verdict:
        # Envelopes are found by their domain wherever they are, blind indexes by the models only.
        is_index = key.scope.purpose is Purpose.INDEX
        reasons = [
            f"{place} has {count:,} {'value' if count == 1 else 'values'} under it; run: vaultdb"
            " rotate --dek"
            for place, count in found.users(key.key_id)
        ]
        reasons += [
            f"backup {name} needs it; when the backup is gone, run: vaultdb keys manifest release"
            f" {name}"
            for name in needed.get(key.key_id, ())
        ]
        reasons += [
            f"{each.column.place} could not be counted: {each.column.problem}"
            for each in found.columns
            if each.column.problem and (each.column.place.schema or is_index)
        ]
        if is_index and not self._metadatas:
            reasons.append("only the models say where its blind indexes are: give --model")
        reasons += self._too_early(key, newest, aged)
        step = NEXT.get(key.state)
        return Verdict(key, None if reasons else step, tuple(reasons))

    def _too_early(
        self, key: WrappedKey, newest: WrappedKey, aged: Mapping[bytes, Age]
    ) -> list[str]:
        if key.key_id == newest.key_id:
            return ["it is the newest of its scope; make another first: vaultdb rotate --dek"]
        if key.state not in NEXT:
            return [f"it is {key.state}, so a process may write with it; run: vaultdb rotate --dek"]
        left = self._ttl - aged[newest.key_id].changed
        if key.state is KeyState.DISABLED:
            left = self._grace - aged[key.key_id].changed
        return [f"it is {key.state} for another {left / 3600:.1f} hours"] if left > 0 else []


def wait_for_writers(connection: Connection) -> None:
    """Wait until every transaction that runs now is over: what it wrote can then be counted.

    Raises:
        ConfigurationError: one runs for longer than a minute.

    """
    give_up_at = time.monotonic() + PATIENCE
    # A number of our own: every transaction that runs now and has written has a lower one.
    now = connection.scalar(text("SELECT pg_current_xact_id()::text::bigint"))
    connection.rollback()
    oldest = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    while (connection.scalar(oldest) or 0) < (now or 0):
        connection.rollback()  # a snapshot of our own must not be the oldest
        if time.monotonic() > give_up_at:
            raise ConfigurationError(
                "a transaction that began earlier is still running, and what it wrote cannot be"
                " counted; end it (see pg_stat_activity), and run again"
            )
        time.sleep(TICK)


def _candidates(
    keys: Sequence[WrappedKey], key_ids: frozenset[bytes]
) -> list[tuple[WrappedKey, WrappedKey]]:
    """Return the newest of each scope beside each key that is looked at."""
    return [
        (newest, key)
        for newest, *older in by_scope(keys).values()
        for key in (newest, *older)
        if (key.key_id in key_ids if key_ids else key.state in NEXT)
    ]
