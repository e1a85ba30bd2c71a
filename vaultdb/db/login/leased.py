"""A login that Vault leases: renewed ahead, replaced with overlap, revoked at the end."""

from __future__ import annotations

import copy
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import SystemRandom
from time import sleep
from weakref import WeakSet

from vaultdb.after_fork import reset_in_children
from vaultdb.db.login.source import Login
from vaultdb.errors import VaultDBError, VaultDenied, VaultError, VaultRejected, VaultUnavailable
from vaultdb.logs import VAULT
from vaultdb.vault.answers import LEASE_GONE
from vaultdb.vault.at_exit import at_exit, follow_process_pools
from vaultdb.vault.client import EXIT_TIMEOUT
from vaultdb.vault.deadline import within
from vaultdb.vault.leases import DatabaseRole, Lease
from vaultdb.vault.renewal import Renewal

RENEW_AT = 0.5
"""Part of a lease's life after which it is renewed: leaves time for several tries."""
SHRUNK = 0.5
"""A renewal that gives less than this part of the first life is near the role's `max_ttl`."""
MARGIN = 0.1
"""Part of the first life that a renewal must add to the overlap, or it is not worth it."""
LONGEST_OVERLAP = 0.75
"""Part of the first life that may be overlap; above, a lease would be replaced all the time."""
RETRY_AT = 0.2
"""Part of what is left after which a renewal that failed is tried again."""
SHORTEST_WAIT = 0.2
"""Seconds between two looks at a lease, at least."""
PAUSE = 1.0
"""Seconds after which Vault is asked again for a login that it did not give, or that PostgreSQL
refused; doubled each time that PostgreSQL refuses a new one at once."""
LONGEST_PAUSE = 60.0
"""Seconds of that pause, at most."""
YOUNG = 1.0
"""Seconds after which a login that is refused counts as one that had worked."""
REPLICA_PAUSE = 0.1
"""Seconds between two tries of a login that a replica may not have yet."""
_random = SystemRandom()


@dataclass(slots=True)
class LeaseCounters:
    """What happened to the leases of one engine, for metrics and tests."""

    issued: int = 0
    renewed: int = 0
    forced: int = 0
    """issued because PostgreSQL refused the one before"""
    lost: int = 0
    """ended before their time: revoked, or their token was"""
    failures: int = 0
    """renewals and replacements that failed, to be tried again"""
    revoked: int = 0
    not_revoked: int = 0
    """that Vault would not or could not end"""


@dataclass(frozen=True, slots=True)
class _Held:
    lease: Lease
    login: Login
    full_ttl: float
    """of the first issue; a renewal is measured by it"""
    due_at: float


class LeasedLogin:
    """Holds one lease at a time; makes none before the first connection.

    A lease that cannot be prolonged is replaced by a new one while it still works, so that
    transactions under way can end. The same happens after each login to Vault, for leases die
    with the token that asked for them.

    Args:
        role: of the database engine.
        overlap: seconds that a replaced lease still works, where its TTL allows.
        replica_lag: seconds that a new login may be unknown to the server; 0 for a primary.

    """

    def __init__(self, role: DatabaseRole, *, overlap: float, replica_lag: float = 0.0) -> None:
        self.counters = LeaseCounters()
        self._role = role
        self._clock = role.clock
        self._overlap = overlap
        self._replica_lag = replica_lag
        self._generation = 0
        self._warned = False
        self.reset_after_fork()
        role.client.tell(self)
        reset_in_children(self)
        _living.add(self)

    def reset_after_fork(self) -> None:
        """Forget the parent's lease, so that the child leases, renews and revokes its own."""
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._held: _Held | None = None
        self._replaced: list[Lease] = []
        self._renewal: Renewal | None = None
        self._failure: VaultDBError | None = None
        self._ask_again_at = -math.inf
        self._pause = PAUSE
        self._replace_again_at = -math.inf
        self._refused_young = 0

    def current(self) -> Login:
        """Return the leased login; ask Vault for one when there is none."""
        while True:
            held = self._held
            if held is not None and self._clock() < held.lease.expires_at:
                return held.login
            self._replace(held)

    def is_ready(self) -> bool:
        """Return whether there is a login."""
        held = self._held
        return held is not None and self._clock() < held.lease.expires_at

    def is_retired(self, generation: int) -> bool:
        """Return whether another lease has taken the place of this one."""
        held = self._held
        return held is not None and held.login.generation != generation

    def refused(self, generation: int) -> bool:
        """Have the lease replaced, once for all threads and not too often."""
        held = self._held
        if held is None or held.login.generation != generation:
            return True
        age = self._clock() - held.lease.obtained_at
        if age < YOUNG:
            self._refused_young = generation
        if age < self._replica_lag:
            sleep(REPLICA_PAUSE)
            return True
        return self._replace(held, forced=True)

    def renew(self) -> float:
        """Renew or replace the lease if that is due; return the seconds until the next look."""
        held = self._held
        if held is None:
            return math.inf
        has_token = held.lease.token_generation == self._role.client.token_generation
        if has_token and self._clock() < held.due_at:
            return held.due_at - self._clock()
        try:
            if not has_token or not self._prolong(held):
                self._replace(held)
        except VaultDBError as error:
            self.counters.failures += 1
            VAULT.warning("cannot renew the login of %s: %s", self._role.name, error)
            left = (held.lease.expires_at - self._clock()) * RETRY_AT
            return max(SHORTEST_WAIT, left) * _random.uniform(0.9, 1.0)
        return SHORTEST_WAIT

    def token_replaced(self) -> None:
        """Have the renewal look at once: the lease dies with the token before."""
        renewal = self._renewal
        if renewal is not None:
            renewal.wake()

    def close(self) -> None:
        """Revoke what this very process leased; a fork's child must not end its parent's."""
        if self._pid != os.getpid():
            return
        if self._lock.acquire(timeout=EXIT_TIMEOUT):
            self._lock.release()  # an issue under way has ended, or takes too long
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.stop()
        held, self._held = self._held, None
        leases, self._replaced = self._replaced, []
        if held is not None:
            leases.append(held.lease)
        with within(EXIT_TIMEOUT):
            for lease in reversed(leases):
                if self._clock() < lease.expires_at:
                    self._revoke(lease)

    def __repr__(self) -> str:
        return f"<LeasedLogin {self._role.name}>"

    def _revoke(self, lease: Lease) -> None:
        try:
            self._role.revoke(lease)
        except VaultDenied:
            # It dies with the token, which is revoked next if it is ours, or at its own end.
            self.counters.not_revoked += 1
        except VaultError as error:
            self.counters.not_revoked += 1
            VAULT.warning(
                "cannot revoke the login %s: %s; see that it is dropped, and look at vault's"
                " irrevocable leases",
                lease.user,
                error,
            )
        else:
            self.counters.revoked += 1

    def _prolong(self, held: _Held) -> bool:
        """Renew a lease; return whether it will last."""
        if not held.lease.renewable:
            return False
        try:
            renewed = self._role.renew(held.lease, held.full_ttl)
        except VaultDenied:
            return False  # without the right to renew there is still the one to lease
        except VaultRejected as error:
            if LEASE_GONE not in str(error):
                raise
            self.counters.lost += 1
            return False
        self.counters.renewed += 1
        overlap = self._overlap_of(held.full_ttl)
        lasts = renewed.ttl >= max(held.full_ttl * SHRUNK, overlap + held.full_ttl * MARGIN)
        with self._lock:
            if self._held is held and lasts:
                self._held = self._hold(renewed, held.login, held.full_ttl)
        return lasts

    def _replace(self, held: _Held | None, *, forced: bool = False) -> bool:
        """Lease a new login unless another thread has; return whether there is another one."""
        with self._one_at_a_time():
            if self._held is not held:
                return True
            if forced and not self._may_replace():
                return False
            self.counters.forced += forced
            lease = self._ask()
            if held is not None:
                self._replaced = [old for old in self._replaced if self._clock() < old.expires_at]
                self._replaced.append(held.lease)
            self._generation += 1
            login = Login(lease.user, lease.password, self._generation)
            self._held = self._hold(lease, login, lease.ttl)
            self._start()
            return True

    def _may_replace(self) -> bool:
        """Whether a refused login is replaced now; new ones that are refused, ever less often."""
        now = self._clock()
        if now < self._replace_again_at:
            return False
        is_young = self._refused_young == self._generation
        self._pause = min(self._pause * 2, LONGEST_PAUSE) if is_young else PAUSE
        self._replace_again_at = now + self._pause
        return True

    def _ask(self) -> Lease:
        if self._failure is not None and self._clock() < self._ask_again_at:
            raise copy.copy(self._failure)
        try:
            lease = self._role.issue()
        except VaultDBError as error:
            self._failure = copy.copy(error)  # without its traceback
            self._ask_again_at = self._clock() + PAUSE
            raise
        self._failure = None
        self.counters.issued += 1
        VAULT.info("leased the login %s for %g s", lease.user, lease.ttl)
        return lease

    def _hold(self, lease: Lease, login: Login, full_ttl: float) -> _Held:
        share = lease.ttl * RENEW_AT * _random.uniform(0.9, 1.0)
        wait = min(share, max(0.0, lease.ttl - self._overlap_of(full_ttl)))
        return _Held(lease, login, full_ttl, lease.obtained_at + wait)

    def _overlap_of(self, full_ttl: float) -> float:
        """Return the overlap, or half of the TTL where that is too short for it."""
        if self._overlap <= full_ttl * LONGEST_OVERLAP:
            return self._overlap
        if not self._warned:
            self._warned = True
            VAULT.warning(
                "%s leases logins for %g s, too short for database.lease_overlap = %g s:"
                " transactions longer than %g s may be cut off; raise the role's default_ttl"
                " and max_ttl, or lower the overlap",
                self._role.name,
                full_ttl,
                self._overlap,
                full_ttl / 2,
            )
        return full_ttl / 2

    def _start(self) -> None:
        if self._renewal is None:
            follow_process_pools()
            renewal = Renewal(self, self._role.client.timeout)
            self._renewal = renewal if renewal.start() else None

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self._role.client.timeout + PAUSE):
            raise VaultUnavailable("another thread waits too long for a login; try again")
        try:
            yield
        finally:
            self._lock.release()


_living: WeakSet[LeasedLogin] = WeakSet()


@at_exit
def _close_all() -> None:
    for login in list(_living):
        login.close()
