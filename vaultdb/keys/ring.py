"""All live versions of one scope's DEK, as they are cached together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vaultdb.errors import KeyMissing, KeyringError, KeyRollback
from vaultdb.keys.data_key import DataKey
from vaultdb.keys.fault import Fault
from vaultdb.keys.naming import create_command, describe
from vaultdb.keys.wrapped_key import KeyScope, KeyState, WrappedKey

USABLE = frozenset({KeyState.INCOMING, KeyState.ACTIVE, KeyState.DECRYPT_ONLY})
"""The states in which a DEK is unwrapped at all."""


@dataclass(slots=True)
class CachedKey:
    """A DEK, and until when it may be used."""

    key: DataKey
    ring: Ring
    usable_until: float
    """hard lifetime, counted from before its last successful unwrap"""


@dataclass(slots=True, eq=False)
class Ring:
    """What is known of one scope. Replaced as a whole at each read; only its times are updated.

    Times are seconds of the keyring's clock.
    """

    scope: KeyScope
    rows: Sequence[WrappedKey]
    """newest version first"""
    keys: dict[bytes, CachedKey]
    faults: dict[bytes, Fault]
    floor: int
    """the newest version must not be below this one"""
    read_number: int
    """counts the keyring's reads; drawn before the key table was asked"""
    read_at: float
    used_at: float
    fresh_until: float = 0.0
    """from then on a use starts a refresh in the background"""
    usable_until: float = 0.0
    """from then on a use waits for a new read"""
    kept_until: float = 0.0
    """until then the cache does not drop it, however full it is"""
    stale: bool = False
    """the last refresh failed"""

    @property
    def newest_version(self) -> int:
        """The highest version that the key table showed, 0 when there is none."""
        return self.rows[0].version if self.rows else 0

    @property
    def is_empty(self) -> bool:
        """Whether the key table has no version that is not destroyed."""
        return not self.rows

    @property
    def has_rolled_back(self) -> bool:
        """Whether a version that exists, or must exist, is gone."""
        return self.newest_version < self.floor

    @property
    def is_usable(self) -> bool:
        """Whether it writes, and every version that is not restricted opens."""
        try:
            self.every()
        except KeyringError:
            return False
        return True

    def outage(self) -> KeyringError | None:
        """Return the error of a key that could not be had now, if there is one."""
        return next((fault.error() for fault in self.faults.values() if fault.is_outage), None)

    def active(self) -> DataKey:
        """Return the DEK of the highest version; an older one never takes its place.

        An incoming one is no candidate yet: it is searched for, and does not write.

        Raises:
            KeyRollback: the highest version is below one that was seen or is pinned.
            KeyMissing: there is no version, or the highest one is not active.
            KeyDenied: the provider refused to unwrap it.
            KeyUnavailable: the provider could not be reached.

        """
        if self.has_rolled_back:
            raise KeyRollback(
                f"the newest {describe(self.scope)} is version {self.newest_version}, but version "
                f"{self.floor} was seen before or is pinned in keyring.minimum_versions; "
                "restore the key table"
            )
        newest = self.rows[0] if self.rows else None
        if newest is not None and newest.state is KeyState.INCOMING:
            newest = next((row for row in self.rows if row.state is not KeyState.INCOMING), None)
        if newest is None:
            raise KeyMissing(
                f"there is no {describe(self.scope)}; create it with: {create_command(self.scope)}"
            )
        if newest.state is not KeyState.ACTIVE:
            raise KeyMissing(
                f"the newest {describe(self.scope)}, version {newest.version}, is {newest.state}; "
                f"create the next with: {create_command(self.scope)}"
            )
        return self._usable(newest)

    def every(self) -> tuple[DataKey, ...]:
        """Return every DEK that may still be used, newest first; all of them or an error.

        A query that left out one index key would silently miss the rows under it.
        """
        self.active()
        return tuple(self._usable(row) for row in self.rows if row.state in USABLE)

    def _usable(self, row: WrappedKey) -> DataKey:
        cached = self.keys.get(row.key_id)
        if cached is None:
            raise self.faults[row.key_id].error()
        return cached.key
