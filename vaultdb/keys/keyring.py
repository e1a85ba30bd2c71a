"""The keyring: unwrapped DEKs, fetched in batches, refreshed ahead, given up in time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from vaultdb.after_fork import reset_in_children
from vaultdb.crypto.reason import Reason
from vaultdb.errors import (
    DecryptionError,
    KeyDenied,
    KeyMissing,
    KeyRollback,
    KeyUnavailable,
)
from vaultdb.keys.clock import BOOT_TIME, Clock
from vaultdb.keys.counters import Counters
from vaultdb.keys.data_key import DataKey
from vaultdb.keys.fetcher import Fetcher
from vaultdb.keys.helper_thread import call_in_thread
from vaultdb.keys.key_cache import CAPACITY, KeyCache
from vaultdb.keys.lifetimes import (
    DENIED_TTL,
    HARD_TTL,
    RETRY_AFTER,
    SOFT_TTL,
    Lifetimes,
    ten_percent,
)
from vaultdb.keys.listener import KeyListener
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.refresher import Refresher
from vaultdb.keys.ring import Ring
from vaultdb.keys.store import KeyStore
from vaultdb.keys.wrapped_key import KeyScope, Purpose

T = TypeVar("T")

TRIES = 5
"""Reads until a key is there: `flush` or the loads of other threads may drop it again, and a read
that was joined may have started before the key was inserted."""
DROPPED = "the data key was dropped while it was loaded; try again"


class Keyring:
    """Hands out DEKs by scope and by key id. Safe for threads and across forks.

    Args:
        realm: the installation; rows of any other are refused.
        provider: unwraps DEKs; closed with the keyring.
        store: the key table.
        create_keys: make the first DEK of a scope that has none, instead of `KeyMissing`.
        minimum_versions: the lowest acceptable newest version by keyset, as a defence against the
            deletion of the newest row; `"name/index"` pins the index keys of keyset `name`.
        soft_ttl: seconds until a background refresh.
        hard_ttl: seconds until a DEK that cannot be refreshed is given up.
        capacity: DEKs to keep, at most; a statement that needs more of them keeps them for its
            while.
        listener: hears which keys were made, unwrapped and refused.

    """

    def __init__(
        self,
        *,
        realm: UUID,
        provider: KeyProvider,
        store: KeyStore,
        create_keys: bool = False,
        minimum_versions: Mapping[str, int] | None = None,
        soft_ttl: float = SOFT_TTL,
        hard_ttl: float = HARD_TTL,
        capacity: int = CAPACITY,
        listener: KeyListener | None = None,
        _clock: Clock = BOOT_TIME,
        _jitter: Callable[[], float] = ten_percent,
    ) -> None:
        self.realm = realm
        self.counters = Counters()
        self._provider = provider
        self._create_keys = create_keys
        self._clock = _clock
        self._cache = KeyCache(capacity)
        self._by_id = self._cache.by_id
        self._closed = False
        self._fetcher = Fetcher(
            realm=realm,
            provider=provider,
            store=store,
            cache=self._cache,
            lifetimes=Lifetimes(soft_ttl, hard_ttl, _clock, _jitter),
            counters=self.counters,
            minimum_versions=minimum_versions or {},
            listener=listener,
        )
        self._refresher = Refresher(self._refresh)
        reset_in_children(self)

    def get(self, key_id: bytes, scope: KeyScope | None = None) -> DataKey:
        """Return the DEK that an envelope names; a dict lookup and a look at the clock when warm.

        Args:
            key_id: 16 bytes of an envelope's header.
            scope: whose it must be to be fetched: a stored value that names the key of another
                tenant must not have it unwrapped. One that is cached is returned all the same.

        Raises:
            DecryptionError: the key table holds no such key, or not in the scope.
            KeyDenied: disabled, destroyed, or refused by the provider.
            KeyUnavailable: not cached, and the store or the provider cannot be reached.

        """
        cached = self._by_id.get(key_id)
        if cached is not None:
            now = self._clock()
            ring = cached.ring
            if now < ring.fresh_until:
                ring.used_at = now
                return cached.key
        return self._get_slowly(key_id, scope)

    def active(self, tenant: str, keyset: str, *, subject: str = "") -> DataKey:
        """Return the DEK that new values are encrypted with: the highest version.

        Args:
            tenant: whose values, empty when there are no tenants.
            keyset: that the column names.
            subject: the data subject that has a DEK of its own, empty when it is the keyset's.

        Raises:
            KeyMissing: none exists and `create_keys` is off, or the highest is not active.
            KeyRollback: the highest version is below one seen before, or below the pinned minimum.
            KeyDenied, KeyUnavailable: it cannot be unwrapped.

        """
        return self._settle(KeyScope(tenant, keyset, Purpose.DATA, subject), Ring.active)

    def index_keys(self, tenant: str, keyset: str) -> Sequence[DataKey]:
        """Return the index DEKs, newest first: a query asks for all of them.

        Which of them writes, `writing_index_key` and `incoming_index_key` say.

        Raises:
            KeyMissing, KeyRollback, KeyDenied, KeyUnavailable: as `active`, for any of them.

        """
        return self._settle(KeyScope(tenant, keyset, Purpose.INDEX), Ring.every)

    def is_warm(self, scopes: Iterable[KeyScope]) -> bool:
        """Return whether `load` would return at once, so that an event loop may call it."""
        now = self._clock()
        return all(self._warm(scope, now) is not None for scope in scopes)

    def answers_at_once(self, scope: KeyScope) -> bool:
        """Return whether `active` or `index_keys` has its key at hand; bad news is looked at anew.

        So an event loop asks them itself only then.
        """
        ring = self._warm(scope, self._clock())
        return ring is not None and ring.is_usable

    def load(self, scopes: Iterable[KeyScope]) -> None:
        """Have all live DEKs of these scopes cached: one query, one unwrap per 100 keys, or none.

        A scope without keys is no error here, nor is a refused key: `active` and `get` raise when
        it is asked for.

        Raises:
            KeyUnavailable: a DEK is not cached and cannot be had now.

        """
        now = self._clock()
        cold = [scope for scope in dict.fromkeys(scopes) if self._warm(scope, now) is None]
        if cold:
            self._refuse_when_closed()
            self._fetcher.fetch(cold)
            for scope in cold:
                self._raise_outage(scope)

    def ensure(self, scopes: Iterable[KeyScope]) -> None:
        """Load as `load` does, and with `create_keys` make all keys that are missing, in one go.

        So `active` finds the keys of all data subjects of a statement. Without `create_keys` a
        missing one is no error here; `active` raises.

        Raises:
            KeyUnavailable: a DEK is not cached and cannot be had now.
            KeyDenied: one is missing and may not be made.

        """
        if not self._create_keys:
            self.load(scopes)
            return
        now = self._clock()
        wanted = {scope: self._warm(scope, now) for scope in scopes}
        missing = [scope for scope, ring in wanted.items() if ring is None or ring.is_empty]
        if missing:
            self._refuse_when_closed()
            self._fetcher.fetch(missing, create=True)
            for scope in missing:
                self._raise_outage(scope)

    def load_ids(
        self, key_ids: Iterable[bytes], scope: KeyScope | None = None
    ) -> Collection[bytes]:
        """Have these key ids cached, or remembered as unusable: two queries for all of them.

        Args:
            key_ids: of envelopes.
            scope: the only one to load keys of, when given.

        Returns:
            The ids of keys of other scopes, which were left alone.

        Raises:
            KeyUnavailable: the store cannot be reached.

        """
        now = self._clock()
        missing = [key_id for key_id in dict.fromkeys(key_ids) if self._cache.is_new(key_id, now)]
        if not missing:
            return ()
        self._refuse_when_closed()
        return self._fetcher.look_up(missing, scope)

    def flush(self) -> None:
        """Forget every DEK now, so that a revocation takes effect at once."""
        self._fetcher.clear()

    def close(self) -> None:
        """Forget every DEK and close the provider; later uses raise `KeyUnavailable`."""
        self._closed = True
        self.flush()
        self._provider.close()

    def reset_after_fork(self) -> None:
        """Start over with locks and threads in a forked child; DEKs stay."""
        self._fetcher.reset_after_fork()
        self._refresher = Refresher(self._refresh)

    def __repr__(self) -> str:
        name, count = self._provider.name, len(self._by_id)
        return f"<Keyring realm={self.realm} provider={name} keys={count}>"

    def _get_slowly(self, key_id: bytes, scope: KeyScope | None) -> DataKey:
        now = self._clock()
        cached = self._by_id.get(key_id)
        if cached is not None and now < cached.usable_until:
            self._touch(cached.ring, now)
            return cached.key
        self.counters.misses += 1
        foreign: set[bytes] = set()
        for _ in range(TRIES):
            if self._cache.is_new(key_id, self._clock()):
                call_in_thread(lambda: foreign.update(self.load_ids([key_id], scope)))
            if foreign:
                raise DecryptionError(Reason.SCOPE)
            key = self._cache.found(key_id, now)
            if key is not None:
                return key
        raise KeyUnavailable(DROPPED)

    def _settle(self, scope: KeyScope, choose: Callable[[Ring], T]) -> T:
        """Choose from a scope's ring; look at the key table again before giving bad news."""
        before = self._fetcher.now
        now = self._clock()
        ring = self._warm(scope, now) or self._fetched(scope)
        try:
            return choose(ring)
        except (KeyMissing, KeyDenied, KeyRollback) as error:
            is_news = ring.read_number > before
            is_recent = not isinstance(error, KeyMissing) and now < ring.read_at + DENIED_TTL
            if (is_news and not self._create_keys) or is_recent:
                raise
        return choose(self._fetched(scope, since=before))

    def _fetched(self, scope: KeyScope, since: int | None = None) -> Ring:
        self._refuse_when_closed()
        for _ in range(TRIES):
            self._fetcher.fetch([scope], since=since, create=self._create_keys)
            ring = self._cache.rings.get(scope)
            if ring is not None:
                return ring
        raise KeyUnavailable(DROPPED)

    def _raise_outage(self, scope: KeyScope) -> None:
        ring = self._cache.rings.get(scope)
        outage = ring.outage() if ring is not None else None
        if outage is not None:
            raise outage

    def _warm(self, scope: KeyScope, now: float) -> Ring | None:
        ring = self._cache.rings.get(scope)
        if ring is None or now >= ring.usable_until:
            return None
        self._touch(ring, now)
        return ring

    def _touch(self, ring: Ring, now: float) -> None:
        ring.used_at = now
        if now >= ring.fresh_until:
            self.counters.stale_served += ring.stale
            ring.fresh_until = min(now + RETRY_AFTER, ring.usable_until)
            self._refresher.ask(ring.scope)

    def _refresh(self, scopes: Collection[KeyScope]) -> None:
        """Read scopes anew in the background; an outage leaves everything as it is."""
        self.counters.refreshes += 1
        before = [ring for ring in map(self._cache.rings.get, scopes) if ring is not None]
        try:
            self._fetcher.fetch(scopes, since=self._fetcher.now)
        except Exception:  # noqa: BLE001  # the keys in the cache are served until they expire
            for ring in before:
                ring.stale = True
        after = map(self._cache.rings.get, scopes)
        self.counters.refresh_failures += any(ring is not None and ring.stale for ring in after)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise KeyUnavailable("the keyring is closed")
