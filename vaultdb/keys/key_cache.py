"""What a keyring knows: rings by scope, DEKs by id, the most recently used ones."""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from vaultdb.crypto.reason import Reason
from vaultdb.errors import DecryptionError, KeyringError
from vaultdb.keys.data_key import DataKey
from vaultdb.keys.fault import Fault
from vaultdb.keys.ring import CachedKey, Ring
from vaultdb.keys.wrapped_key import KeyScope

CAPACITY = 1000
"""DEKs in the cache: more than a process works with at a time, and a bound on its memory."""
TOGETHER = 10.0
"""Seconds for which many DEKs that were read together stay, beyond the capacity if need be: a
statement asked for all of them, and would fetch each again as soon as another statement's came."""
REFUSED_IDS = 10_000
"""Key ids remembered as unusable, at most; a table full of forged ids stays under 4 MB."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A key id that cannot be used: unknown when there is no fault."""

    fault: Fault | None
    until: float

    def error(self) -> KeyringError | DecryptionError:
        """Make the exception to raise."""
        return DecryptionError(Reason.UNKNOWN_KEY) if self.fault is None else self.fault.error()


class KeyCache:
    """Rings and DEKs under one capacity; changed only under the keyring's lock.

    `by_id` is read without a lock: a dict lookup is atomic, and a ring's new keys are put in before
    its old ones are taken out.

    Args:
        capacity: DEKs to keep, at most, but for what a statement needs at a time.

    """

    def __init__(self, capacity: int) -> None:
        self.by_id: dict[bytes, CachedKey] = {}
        self.rings: dict[KeyScope, Ring] = {}
        self.refused: dict[bytes, Refusal] = {}
        self._highest: dict[KeyScope, int] = {}
        self._capacity = capacity

    def is_new(self, key_id: bytes, now: float) -> bool:
        """Whether nothing that is still valid is known of a key id."""
        cached = self.by_id.get(key_id)
        if cached is not None and now < cached.usable_until:
            return False
        refused = self.refused.get(key_id)
        return refused is None or now >= refused.until

    def found(self, key_id: bytes, now: float) -> DataKey | None:
        """Return the DEK that was just looked up, or None when others dropped it meanwhile.

        Raises:
            DecryptionError, KeyringError: why it cannot be used.

        """
        cached = self.by_id.get(key_id)
        if cached is not None and now < cached.usable_until:
            return cached.key
        refused = self.refused.get(key_id)
        if refused is not None:
            raise refused.error()
        return None

    def highest(self, scope: KeyScope) -> int:
        """Return the highest version whose DEK was unwrapped and checked in this process."""
        return self._highest.get(scope, 0)

    def install(self, rings: Sequence[Ring], now: float) -> int:
        """Put rings in the places of those before them; return how many DEKs had to go."""
        for ring in rings:
            self._put(ring)
        if len(rings) > max(1, self._capacity // 10):
            for ring in rings:
                ring.kept_until = now + TOGETHER
        return self._evict({ring.scope for ring in rings}, now)

    def _put(self, ring: Ring) -> None:
        before = self.rings.get(ring.scope)
        self.rings[ring.scope] = ring
        self.by_id.update(ring.keys)
        for key_id in ring.keys:
            self.refused.pop(key_id, None)
        if before is not None:
            for key_id in before.keys.keys() - ring.keys.keys():
                self.by_id.pop(key_id, None)
        proven = [row.version for row in ring.rows if row.key_id in ring.keys]
        if proven:
            self._highest[ring.scope] = max(self.highest(ring.scope), *proven)

    def refuse(self, key_ids: Iterable[bytes], fault: Fault | None, until: float) -> None:
        """Remember that these ids cannot be used."""
        for key_id in key_ids:
            self.refused.pop(key_id, None)
            if len(self.refused) >= REFUSED_IDS:
                del self.refused[next(iter(self.refused))]
            self.refused[key_id] = Refusal(fault, until)

    def clear(self) -> None:
        """Forget every DEK, and keep the highest versions seen."""
        self.by_id.clear()
        self.rings.clear()
        self.refused.clear()

    def _evict(self, keep: Container[KeyScope], now: float) -> int:
        """Drop the rings that were not used for longest; a ring without DEKs counts, too."""
        excess = max(len(self.by_id), len(self.rings)) - self._capacity
        if excess <= 0:
            return 0
        others = (
            ring
            for ring in self.rings.values()
            if ring.scope not in keep and now >= ring.kept_until
        )
        evicted = 0
        for ring in heapq.nsmallest(excess, others, key=lambda ring: ring.used_at):
            if max(len(self.by_id), len(self.rings)) <= self._capacity:
                break
            del self.rings[ring.scope]
            evicted += sum(self.by_id.pop(key_id, None) is not None for key_id in ring.keys)
        return evicted
