"""The one client through which vaultdb talks to Vault."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from random import SystemRandom
from typing import TypeVar

import hvac

from vaultdb.after_fork import reset_in_children
from vaultdb.errors import VaultDenied, VaultUnavailable
from vaultdb.keys.clock import BOOT_TIME, Clock
from vaultdb.vault.answers import BackendFailed, Forbidden, RateLimited
from vaultdb.vault.at_exit import at_exit, follow_process_pools
from vaultdb.vault.breaker import CircuitOpen
from vaultdb.vault.connection import Connection
from vaultdb.vault.deadline import time_left, within
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.login.method import LoginMethod
from vaultdb.vault.renewal import Renewal
from vaultdb.vault.token import Token
from vaultdb.vault.token_keeper import Follower, LoginCounters, TokenKeeper

T = TypeVar("T")

FIRST_PAUSE = 0.05
"""Seconds before the second try."""
LONGEST_PAUSE = 1.0
"""Seconds between two tries, at most; pauses double until then."""
EXIT_TIMEOUT = 1.0
"""Seconds that the end of the process waits for the token to be revoked."""
_random = SystemRandom()


class VaultClient:
    """Calls Vault with a token of its own, within a deadline, and raises only our own errors.

    Making one does no I/O. Safe for threads; a forked child logs in by itself and leaves its
    parent's token alone. Neither the environment nor `~/.vault-token` is looked at.

    Args:
        endpoint: the server.
        method: how to log in.
        revoke: revoke the token, if it is ours, at the end of this process.

    """

    def __init__(
        self,
        endpoint: Endpoint,
        method: LoginMethod,
        *,
        revoke: bool = True,
        _clock: Clock = BOOT_TIME,
    ) -> None:
        self._timeout = endpoint.timeout
        self._revoke = revoke
        self._renewal: Renewal | None = None
        self._logged_in: tuple[int, hvac.Client] | None = None
        self._connection = Connection(endpoint)
        self._keeper = TokenKeeper(self._connection, method, _clock)
        self.reset_after_fork()
        reset_in_children(self)
        _living.add(self)

    @property
    def counters(self) -> LoginCounters:
        """Logins, renewals, look-ups and revocations of this process and its parents."""
        return self._keeper.counters

    @property
    def timeout(self) -> float:
        """Seconds that one call may take in all."""
        return self._timeout

    def tell(self, follower: Follower) -> None:
        """Tell `follower`, held weakly, of every login: what the old token leased dies with it."""
        self._keeper.tell(follower)

    @property
    def token_generation(self) -> int:
        """How many logins there were up to the token in use; 0 without one."""
        return self._keeper.generation

    @property
    def entity(self) -> str | None:
        """The id of the Vault entity that this process works as; None before the first call."""
        return self._keeper.entity

    def call(self, work: Callable[[hvac.Client], T], *, repeatable: bool = True) -> T:
        """Run `work` with an hvac client that is logged in.

        Args:
            work: makes one request and returns its answer. May run again after a 403 or 429, which
                did nothing.
            repeatable: whether it may run again when it is not known what the server did. A KEK's
                rotation may not: it would make two versions.

        Raises:
            VaultUnavailable: no answer within the deadline, sealed, overloaded.
            VaultDenied: not permitted to this role, or the login was refused.
            VaultRejected: the request cannot work.
            VaultUntrusted: somebody else answered.
            ConfigurationError: a file of the configuration cannot be used.

        """
        pause = FIRST_PAUSE
        with within(self._timeout):
            while True:
                try:
                    return self._try(work)
                except VaultUnavailable as error:
                    failure = error
                # Outside the handler: what is raised here must not carry a context.
                left = time_left(self._timeout)
                wait = self._pause_after(failure, pause)
                may_repeat = repeatable or isinstance(failure, RateLimited)
                is_final = isinstance(failure, CircuitOpen | BackendFailed)
                if not may_repeat or is_final or wait >= left:
                    raise failure
                time.sleep(wait)
                pause = min(pause * 2, LONGEST_PAUSE)

    def log_in(self) -> None:
        """Log in now, for example before forking, or to check the configuration.

        Raises:
            As `call`.

        """
        with within(self._timeout):
            self._token()

    def close(self) -> None:
        """Revoke the token, if this process obtained it, and close the connections."""
        with self._starting:
            if self._renewal is not None:
                self._renewal.stop()
            self._renewal = None
        if self._revoke:
            with within(min(EXIT_TIMEOUT, self._timeout)):
                self._keeper.revoke()
        self._logged_in = None
        self._connection.close()

    def reset_after_fork(self) -> None:
        """Start over in a child: own connections, own token, own thread."""
        self._connection.reset_after_fork()
        self._keeper.reset_after_fork()
        self._starting = threading.Lock()
        self._renewal = None
        self._logged_in = None

    def __repr__(self) -> str:
        return f"<VaultClient {self._connection.endpoint.addr}>"

    def _try(self, work: Callable[[hvac.Client], T]) -> T:
        """Make one try, and a second one with a new token when the first one was dead."""
        for is_last in (False, True):
            token = self._token()
            try:
                return work(self._client(token))
            except Forbidden as error:
                denied = error
            if is_last:
                break
            self._keeper.refused(token, denied)
        raise VaultDenied(f"{denied}, also after a fresh login")

    def _token(self) -> Token:
        token = self._keeper.token()
        if self._renewal is None:
            with self._starting:
                if self._renewal is None:
                    follow_process_pools()
                    renewal = Renewal(self._keeper, self._timeout)
                    self._renewal = renewal if renewal.start() else None
        return token

    def _client(self, token: Token) -> hvac.Client:
        known = self._logged_in
        if known is not None and known[0] == token.generation:
            return known[1]
        made = self._connection.vault(token.secret, token.generation)
        self._logged_in = (token.generation, made)
        return made

    def _pause_after(self, failure: VaultUnavailable, pause: float) -> float:
        wait = pause * _random.uniform(0.5, 1.0)
        if isinstance(failure, RateLimited):
            wait = max(wait, self._connection.breaker.pause_left())
        return wait


_living: weakref.WeakSet[VaultClient] = weakref.WeakSet()


@at_exit
def _close_all() -> None:
    for client in list(_living):
        client.close()
