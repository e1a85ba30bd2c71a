"""Having a token that works: one login at a time, at most one a second, renewed ahead."""

from __future__ import annotations

import copy
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Protocol
from weakref import WeakSet

from vaultdb.errors import (
    VaultDBError,
    VaultDenied,
    VaultError,
    VaultRejected,
    VaultUnavailable,
)
from vaultdb.keys.clock import BOOT_TIME, Clock
from vaultdb.logs import VAULT
from vaultdb.vault.answers import Forbidden
from vaultdb.vault.connection import Connection
from vaultdb.vault.deadline import time_left
from vaultdb.vault.login.method import LoginMethod
from vaultdb.vault.token import Token

LOGIN_INTERVAL = 1.0
"""Seconds between two logins, at least; a removed policy once caused 47 logins in two seconds."""
ALIVE_TTL = 1.0
"""Seconds that a `lookup-self` vouches for a token, so that refused calls do not double."""
RENEW_AT = 0.6
"""Part of a token's life after which it is renewed: leaves time for several tries."""
SHRUNK = 0.5
"""A renewal that gives less than this part of the first lifetime is near the token's maximum."""
_random = SystemRandom()


@dataclass(slots=True)
class LoginCounters:
    """What happened to the token, for metrics and tests."""

    logins: int = 0
    renewals: int = 0
    lookups: int = 0
    revocations: int = 0


class Follower(Protocol):
    """Something that dies with the token that asked for it, such as a lease."""

    def token_replaced(self) -> None:
        """Note that there was a login; called in the thread that logged in, must not block."""
        ...


class TokenKeeper:
    """Logs in when there is no token, it has expired, or Vault no longer knows it.

    Args:
        connection: to the server.
        method: how to log in.
        clock: seconds that also count while the machine sleeps.

    """

    def __init__(
        self, connection: Connection, method: LoginMethod, clock: Clock = BOOT_TIME
    ) -> None:
        self.counters = LoginCounters()
        self._connection = connection
        self._method = method
        self._clock = clock
        self._logins = 0
        self._followers: WeakSet[Follower] = WeakSet()
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forget the parent's token, so that the child makes, renews and revokes its own."""
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._token: Token | None = None
        self._full_ttl = math.inf
        self._next_login = -math.inf
        self._failure: VaultDBError | None = None
        self._alive: tuple[int, float] = (0, -math.inf)

    @property
    def generation(self) -> int:
        """The generation of the token in use; 0 without one."""
        token = self._token
        return 0 if token is None else token.generation

    @property
    def entity(self) -> str | None:
        """The id of the Vault entity of the token in use; None without one."""
        token = self._token
        return None if token is None else token.entity

    def tell(self, follower: Follower) -> None:
        """Tell `follower`, held weakly, of every login from now on."""
        self._followers.add(follower)

    def token(self) -> Token:
        """Return a token that has not expired; log in if need be."""
        token = self._token
        if token is not None and self._clock() < token.expires_at:
            return token
        return self._log_in(instead_of=token)

    def refused(self, token: Token, denied: Forbidden) -> None:
        """Find out why Vault answered 403; return when another try makes sense.

        Raises:
            VaultDenied: the token works, and its policy does not allow the call.

        """
        current = self._token
        if current is not None and current.generation != token.generation:
            return
        if self._is_alive(token):
            raise VaultDenied(f"{denied}; the token is valid, so its policy does not allow this")
        self._log_in(instead_of=token)

    def renew(self) -> float:
        """Renew or replace the token if that is due; return the seconds until the next look."""
        token = self._token
        if token is None:
            return math.inf
        wait = token.obtained_at + token.ttl * RENEW_AT * _random.uniform(0.9, 1.0) - self._clock()
        if wait > 0:
            return wait
        try:
            if not self._prolong(token):
                self._log_in(instead_of=token)
        except VaultDBError as error:
            VAULT.warning("cannot renew the token: %s", error)
            # The next call meets the same trouble and reports it; until then, try again.
            return max(LOGIN_INTERVAL, (token.expires_at - self._clock()) * 0.2)
        return LOGIN_INTERVAL

    def revoke(self) -> None:
        """Revoke the token, if this very process obtained it by a login."""
        token, self._token = self._token, None
        if token is None or not token.is_ours or self._pid != os.getpid():
            return
        try:
            self._connection.vault(token.secret).auth.token.revoke_self()
            self.counters.revocations += 1
        except VaultError:
            pass  # it expires by itself

    def _is_alive(self, token: Token) -> bool:
        generation, until = self._alive
        now = self._clock()
        if generation == token.generation and now < until:
            return True
        self.counters.lookups += 1
        try:
            self._connection.vault(token.secret).auth.token.lookup_self()
        except Forbidden:
            return False
        self._alive = (token.generation, now + ALIVE_TTL)
        return True

    def _prolong(self, token: Token) -> bool:
        """Renew a token; return whether it will last."""
        if not token.renewable:
            return False
        asked_at = self._clock()
        try:
            answer = self._connection.vault(token.secret).auth.token.renew_self()
        except (Forbidden, VaultRejected):
            return False
        self.counters.renewals += 1
        renewed = Token.from_login(answer, asked_at)
        if renewed.ttl < self._full_ttl * SHRUNK:
            return False
        with self._lock:
            if self._token is token:
                self._token = replace(renewed, is_ours=token.is_ours, generation=token.generation)
        return True

    def _log_in(self, instead_of: Token | None) -> Token:
        token = self._new_token(instead_of)
        for follower in list(self._followers):
            follower.token_replaced()
        return token

    def _new_token(self, instead_of: Token | None) -> Token:
        with self._one_at_a_time():
            token = self._token
            if token is not None and token is not instead_of and self._clock() < token.expires_at:
                return token  # another thread has logged in while this one waited
            self._not_too_often()
            self._next_login = self._clock() + LOGIN_INTERVAL
            self._logins += 1
            try:
                token = replace(self._ask_for_token(), generation=self._logins)
            except VaultDBError as error:
                self._failure = copy.copy(error)  # without its traceback
                raise
            self.counters.logins += 1
            VAULT.info("logged in by %s", self._method.name)
            self._failure = None
            self._full_ttl = token.ttl
            self._token = token
            return token

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=time_left(otherwise=60.0)):
            raise VaultUnavailable("the login of another thread takes too long; try again")
        try:
            yield
        finally:
            self._lock.release()

    def _not_too_often(self) -> None:
        wait = self._next_login - self._clock()
        if wait <= 0:
            return
        if self._failure is not None and not isinstance(self._failure, VaultUnavailable):
            raise copy.copy(self._failure)
        if isinstance(self._failure, VaultUnavailable):
            return  # the breaker paces these
        if wait >= time_left(otherwise=math.inf):
            raise VaultUnavailable("vault took the token back right after the login; try again")
        time.sleep(wait)

    def _ask_for_token(self) -> Token:
        if self._connection.endpoint.client_cert is not None:
            self._connection.reopen()
        try:
            return self._method.login(self._connection.vault(), self._clock())
        except (VaultRejected, Forbidden) as error:
            reason = str(error)
        raise VaultDenied(f"the {self._method.name} login was refused: {reason}")
