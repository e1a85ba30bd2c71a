"""One read of scopes: a query of the key table, then one unwrap per 100 keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from vaultdb.errors import KeyDenied, KeyUnavailable, VaultDBError
from vaultdb.keys.counters import Counters
from vaultdb.keys.data_key import DataKey
from vaultdb.keys.fault import Fault
from vaultdb.keys.lifetimes import RETRY_AFTER, UNKNOWN_TTL, Lifetimes
from vaultdb.keys.news import News
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.ring import USABLE, CachedKey, Ring
from vaultdb.keys.store import KeyStore
from vaultdb.keys.troubles import Troubles
from vaultdb.keys.unwrapping import Unwrapped, chunks_by_kek, unwrap_rows
from vaultdb.keys.wrapped_key import KeyScope, WrappedKey

T = TypeVar("T")


class RingReader:
    """Reads rings from the store and the provider; knows nothing of caches and threads.

    Args:
        realm: the installation; rows of any other are refused.
        provider: unwraps.
        store: the key table.
        lifetimes: of what is read.
        counters: updated without a lock, so that a number may rarely miss a concurrent step.
        news: notes what was unwrapped and what was refused.

    """

    def __init__(
        self,
        realm: UUID,
        provider: KeyProvider,
        store: KeyStore,
        *,
        lifetimes: Lifetimes,
        counters: Counters,
        news: News,
    ) -> None:
        self._realm = realm
        self._provider = provider
        self._store = store
        self._lifetimes = lifetimes
        self._counters = counters
        self._news = news
        self._troubles = Troubles()
        self.reads = 0

    def rows_of_ids(self, key_ids: Collection[bytes]) -> Sequence[WrappedKey]:
        """Look up rows by key id, in any state."""
        return self._ask(lambda: self._store.by_ids(self._realm, key_ids))

    def read(
        self,
        scopes: Collection[KeyScope],
        before: Mapping[KeyScope, Ring],
        floors: Callable[[KeyScope, bool], int],
    ) -> list[Ring]:
        """Read scopes anew.

        Args:
            scopes: what to read.
            before: the rings known until now; their DEKs are kept through an outage.
            floors: gives the lowest acceptable newest version, told whether there are any rows.

        """
        self.reads += 1
        number = self.reads
        started = self._lifetimes.clock()
        try:
            found = self._ask(lambda: self._store.by_scopes(self._realm, scopes))
        except VaultDBError as error:
            self._troubles.found(scopes, dict.fromkeys(scopes, (type(error), str(error))))
            raise
        results = self._unwrap([row for row in found if row.state in USABLE])
        self._troubles.found(scopes, _faults(found, results))
        by_scope: dict[KeyScope, list[WrappedKey]] = {scope: [] for scope in scopes}
        for row in found:
            by_scope.get(row.scope, []).append(row)
        rings = []
        for scope, rows in by_scope.items():
            rows.sort(key=lambda row: row.version, reverse=True)
            floor = floors(scope, bool(rows))
            ring = Ring(scope, rows, {}, {}, floor, number, read_at=started, used_at=started)
            self._fill(ring, results, before.get(scope))
            rings.append(ring)
        return rings

    def _ask(self, query: Callable[[], T]) -> T:
        self._counters.store_queries += 1
        try:
            return query()
        except VaultDBError:
            raise
        except Exception as error:
            raise KeyUnavailable(
                f"the key table cannot be read ({type(error).__name__}); check database.url"
            ) from error

    def _unwrap(self, rows: Sequence[WrappedKey]) -> Unwrapped:
        self._counters.provider_calls += sum(1 for _ in chunks_by_kek(self._provider, rows))
        results = unwrap_rows(self._provider, self._realm, rows)
        unwrapped = [row for row in rows if isinstance(results[row.key_id], DataKey)]
        denied = [
            (row, fault.message)
            for row in rows
            if isinstance(fault := results[row.key_id], Fault) and fault.is_refusal
        ]
        self._counters.unwraps += len(unwrapped)
        self._counters.denied += len(denied)
        self._news.unwrapped(unwrapped)
        self._news.denied(denied)
        return results

    def _fill(self, ring: Ring, results: Unwrapped, before: Ring | None) -> None:
        hard_ttl = self._lifetimes.hard_ttl
        for row in ring.rows:
            result = results.get(row.key_id)
            if isinstance(result, DataKey):
                ring.keys[row.key_id] = CachedKey(result, ring, ring.read_at + hard_ttl)
            elif result is None:
                text = f"data key {row.key_id.hex()} is {row.state}"
                ring.faults[row.key_id] = Fault(KeyDenied, text)
            else:
                kept = _kept(row, before, ring.read_at) if result.is_outage else None
                if kept is None:
                    ring.faults[row.key_id] = result
                else:
                    ring.keys[row.key_id] = CachedKey(kept.key, ring, kept.usable_until)
                    ring.stale = True
        _set_lifetimes(ring, self._lifetimes)


def _faults(
    rows: Sequence[WrappedKey], results: Unwrapped
) -> dict[KeyScope, tuple[type[VaultDBError], str]]:
    faults = ((row.scope, results.get(row.key_id)) for row in rows)
    return {
        scope: (fault.kind, fault.message) for scope, fault in faults if isinstance(fault, Fault)
    }


def _kept(row: WrappedKey, before: Ring | None, now: float) -> CachedKey | None:
    """Return the DEK from before an outage while its hard lifetime lasts."""
    cached = before.keys.get(row.key_id) if before is not None else None
    return cached if cached is not None and now < cached.usable_until else None


def _set_lifetimes(ring: Ring, life: Lifetimes) -> None:
    ring.usable_until = min(
        [ring.read_at + life.hard_ttl, *(cached.usable_until for cached in ring.keys.values())]
    )
    if ring.outage() is not None:
        ring.usable_until = ring.read_at  # an outage is never remembered
    elif ring.is_empty:
        ring.usable_until = ring.read_at + min(UNKNOWN_TTL, life.hard_ttl)
    troubled = ring.stale or bool(ring.faults)
    soft = min(RETRY_AFTER, life.soft_ttl) if troubled else life.soft_ttl * life.jitter()
    ring.fresh_until = min(ring.read_at + soft, ring.usable_until)
