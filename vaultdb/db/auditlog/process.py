"""Who this process is for the audit log: certified once, then it opens chains on its own."""

from __future__ import annotations

import threading

from vaultdb.after_fork import reset_in_children
from vaultdb.audit.chain import Chain
from vaultdb.audit.event import Identity
from vaultdb.audit.keys import AuditKeys
from vaultdb.audit.opening import Opening, Writer


class Process:
    """Opens the chains of one process; a forked child is another one.

    Args:
        realm: whose log it is.
        keys: certify the process, and know whom the escrow is for.

    """

    def __init__(self, realm: str, keys: AuditKeys) -> None:
        self._realm = realm
        self._keys = keys
        self.reset_after_fork()
        reset_in_children(self)

    def open(self, login: str) -> tuple[Chain, Opening, Identity]:
        """Begin a chain for connections of a database login.

        The first call of a process asks Vault, later ones only use what it said.

        Raises:
            VaultError: Vault does not answer or refuses, and the process is not certified yet.

        """
        escrow = self._keys.escrow()
        chain, opening = self._certified().open(login, escrow)
        return chain, opening, Identity(login, opening.entity)

    def reset_after_fork(self) -> None:
        """Forget the parent's key, so that the child is certified by itself."""
        self._lock = threading.Lock()
        self._writer: Writer | None = None

    def _certified(self) -> Writer:
        with self._lock:
            if self._writer is None:
                self._writer = Writer.certified(self._realm, self._keys)
            return self._writer
