"""A login with one user whose password Vault rotates: a static role of the database engine."""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass

from vaultdb.after_fork import reset_in_children
from vaultdb.db.login.source import Login
from vaultdb.errors import VaultUnavailable
from vaultdb.logs import VAULT
from vaultdb.vault.leases import DatabaseRole, RotatedPassword

REFUSED_PAUSE = 1.0
"""Seconds after which a refused password is read again, at the earliest."""


@dataclass(frozen=True, slots=True)
class _Known:
    password: RotatedPassword
    login: Login


class RotatedLogin:
    """Reads the password when it is needed, when it is due to change, and when it was refused.

    At a rotation the old password dies at once; connections that are open stay.

    Args:
        role: a static role of the database engine.

    """

    def __init__(self, role: DatabaseRole) -> None:
        self._role = role
        self._clock = role.clock
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Replace the lock; the password is good in a child, too."""
        self._lock = threading.Lock()
        self._known: _Known | None = getattr(self, "_known", None)
        self._read_again_at = 0.0

    def current(self) -> Login:
        """Return user and password; ask Vault when the password may have changed."""
        known = self._known
        if known is not None and not self._is_due(known):
            return known.login
        with self._lock:
            if self._known is known:
                self._read()
            assert self._known is not None
            return self._known.login

    def is_ready(self) -> bool:
        """Return whether the password is known and not due to change."""
        known = self._known
        return known is not None and not self._is_due(known)

    def is_retired(self, generation: int) -> bool:  # noqa: ARG002  # none ever is
        """Return False: an open connection outlives its password."""
        return False

    def refused(self, generation: int) -> bool:
        """Read the password again; return whether it is another one."""
        with self._lock:
            known = self._known
            if known is None or known.login.generation != generation:
                return True
            if self._clock() < self._read_again_at:
                return False
            self._read_again_at = self._clock() + REFUSED_PAUSE
            self._read()
            assert self._known is not None
            return self._known.login.generation != generation

    def close(self) -> None:
        """Forget the password; nothing was borrowed."""
        self._known = None

    def __repr__(self) -> str:
        return f"<RotatedLogin {self._role.name}>"

    def _is_due(self, known: _Known) -> bool:
        now = self._clock()
        return now >= known.password.valid_until and now >= self._read_again_at

    def _read(self) -> None:
        before = self._known
        try:
            password = self._role.rotated_password()
        except VaultUnavailable as error:
            if before is None:
                raise
            # While Vault is away nothing rotates.
            VAULT.warning("cannot read the password of %s again: %s", self._role.name, error)
            self._read_again_at = self._clock() + REFUSED_PAUSE
            return
        if before is not None and _same(before.password, password):
            self._known = _Known(password, before.login)
            self._read_again_at = self._clock() + REFUSED_PAUSE
            return
        generation = 1 if before is None else before.login.generation + 1
        self._known = _Known(password, Login(password.user, password.password, generation))


def _same(one: RotatedPassword, other: RotatedPassword) -> bool:
    return hmac.compare_digest(one.password.encode(), other.password.encode())
