"""Filling the key cache: each scope and key id once at a time, whoever asks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from vaultdb.errors import KeyDenied
from vaultdb.keys.counters import Counters
from vaultdb.keys.creation import create_key, create_keys, next_version
from vaultdb.keys.fault import Fault
from vaultdb.keys.flights import Flights
from vaultdb.keys.key_cache import KeyCache
from vaultdb.keys.lifetimes import DENIED_TTL, UNKNOWN_TTL, Lifetimes
from vaultdb.keys.listener import KeyListener
from vaultdb.keys.naming import describe_for_log
from vaultdb.keys.news import News
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.ring import Ring
from vaultdb.keys.ring_reader import RingReader
from vaultdb.keys.store import KeyStore
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose
from vaultdb.logs import KEYS


class Fetcher:
    """Reads rings into the cache, with one flight per scope and per key id.

    Args:
        realm: the installation.
        provider: unwraps, and creates where that is allowed.
        store: the key table.
        cache: what to fill.
        lifetimes: of what is read.
        counters: what to count in.
        minimum_versions: pinned by configuration, see `Keyring`.
        listener: hears of what was done with keys, once nobody waits for them.

    """

    def __init__(
        self,
        *,
        realm: UUID,
        provider: KeyProvider,
        store: KeyStore,
        cache: KeyCache,
        lifetimes: Lifetimes,
        counters: Counters,
        minimum_versions: Mapping[str, int],
        listener: KeyListener | None = None,
    ) -> None:
        self._realm = realm
        self._provider = provider
        self._store = store
        self._cache = cache
        self._clock = lifetimes.clock
        self._counters = counters
        self._minimum_versions = dict(minimum_versions)
        self._news = News(listener)
        self._reader = RingReader(
            realm, provider, store, lifetimes=lifetimes, counters=counters, news=self._news
        )
        self.reset_after_fork()

    @property
    def now(self) -> int:
        """The count of reads started until now, to say "since now" without a clock."""
        return self._reader.reads

    def reset_after_fork(self) -> None:
        """Start over without the parent's locks and flights."""
        self._lock = threading.Lock()
        self._scopes: Flights[KeyScope] = Flights()
        self._ids: Flights[bytes] = Flights()
        self._news.forget()  # the parent tells its own

    def clear(self) -> None:
        """Forget every DEK."""
        with self._lock:
            self._cache.clear()

    def fetch(
        self, scopes: Iterable[KeyScope], *, since: int | None = None, create: bool = False
    ) -> None:
        """Read scopes that are cold, or, with `since`, those not read since then.

        Args:
            scopes: what to read.
            since: a value of `now`.
            create: make the first key of a scope that has none.

        """
        try:
            with self._scopes.claim(scopes) as (mine, theirs):
                # Looked at again in flight: between the caller's look and its claim, another
                # thread may have fetched and landed.
                due = [scope for scope in mine if self._is_due(scope, since, create=create)]
                if due:
                    self._read(due, create=create)
        finally:
            self._news.tell()
        for flight in theirs:
            flight.join()

    def look_up(self, key_ids: Iterable[bytes], scope: KeyScope | None = None) -> Collection[bytes]:
        """Read the scopes of these key ids, and remember the ids that cannot be used.

        Returns:
            Those of other scopes than `scope`, if that is given: nothing of theirs was unwrapped.

        """
        foreign: Collection[bytes] = ()
        with self._ids.claim(key_ids) as (mine, theirs):
            missing = [key_id for key_id in mine if self._cache.is_new(key_id, self._clock())]
            if missing:
                foreign = self._find(missing, scope)
        for flight in theirs:
            flight.join()
        return foreign

    def _is_due(self, scope: KeyScope, since: int | None, *, create: bool) -> bool:
        ring = self._cache.rings.get(scope)
        if ring is None:
            return True
        if since is not None:
            return ring.read_number <= since
        return self._clock() >= ring.usable_until or (create and ring.is_empty)

    def _read(self, scopes: Collection[KeyScope], *, create: bool) -> None:
        rings = self._read_and_install(scopes)
        if create:
            empty = [ring.scope for ring in rings if ring.is_empty and not ring.has_rolled_back]
            if empty:
                self._create(empty)
                # What is used is what the key table holds now: another process may have won.
                self._read_and_install(empty)

    def _create(self, scopes: Sequence[KeyScope]) -> None:
        wanted = [(scope, next_version((), self._pinned(scope))) for scope in scopes]
        if len(wanted) == 1:
            create_key(self._provider, self._store, self._realm, *wanted[0], news=self._news)
        else:
            create_keys(self._provider, self._store, self._realm, wanted, news=self._news)
        self._counters.provider_calls += len(wanted)
        self._counters.created += len(wanted)
        kinds = Counter((describe_for_log(scope), version) for scope, version in wanted)
        for (kind, version), count in kinds.items():
            times = f" ({count} keys)" if count > 1 else ""
            KEYS.info("created the first %s, version %d%s", kind, version, times)

    def _read_and_install(self, scopes: Collection[KeyScope]) -> list[Ring]:
        rings = self._reader.read(scopes, self._cache.rings, self._floor)
        now = self._clock()
        with self._lock:
            self._counters.evicted += self._cache.install(rings, now)
            for ring in rings:
                self._counters.rollbacks += ring.has_rolled_back
                if ring.has_rolled_back:
                    self._news.rolled_back(ring.scope, ring.newest_version, ring.floor)
                for key_id, fault in ring.faults.items():
                    until = now if fault.is_outage else now + DENIED_TTL
                    self._cache.refuse([key_id], fault, until)
        return rings

    def _find(self, key_ids: Collection[bytes], scope: KeyScope | None) -> Collection[bytes]:
        since = self.now
        found = self._reader.rows_of_ids(key_ids)
        unknown = set(key_ids).difference(row.key_id for row in found)
        rows = [row for row in found if scope is None or row.scope.is_within(scope)]
        destroyed = [row.key_id for row in rows if row.state is KeyState.DESTROYED]
        until = self._clock() + UNKNOWN_TTL
        with self._lock:
            self._cache.refuse(unknown, None, until)
            self._cache.refuse(destroyed, Fault(KeyDenied, "the data key is destroyed"), until)
        scopes = {row.scope for row in rows if row.state is not KeyState.DESTROYED}
        self.fetch(scopes, since=since)
        # Not remembered as unusable: for their own tenants they are not.
        return {row.key_id for row in found}.difference(row.key_id for row in rows)

    def _floor(self, scope: KeyScope, has_rows: bool) -> int:
        highest = self._cache.highest(scope)
        return max(highest, self._pinned(scope)) if has_rows or highest else 0

    def _pinned(self, scope: KeyScope) -> int:
        name = scope.keyset if scope.purpose is Purpose.DATA else f"{scope.keyset}/index"
        return self._minimum_versions.get(name, 1)
