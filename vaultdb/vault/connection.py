"""One server, one breaker, and the session that all clients in this process share."""

from __future__ import annotations

import threading

import hvac
import requests

from vaultdb.vault.adapter import new_hvac
from vaultdb.vault.breaker import Breaker
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.session import new_session


class Connection:
    """Opens the session at first use, and again in a child or for new certificate files.

    Args:
        endpoint: the server.

    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forget the parent's sockets: two processes on one TLS connection break both."""
        self.breaker = Breaker()
        self._lock = threading.Lock()
        self._session: requests.Session | None = None

    def vault(self, token: str = "", token_generation: int = 0) -> hvac.Client:
        """Return an hvac client that uses this token, or none."""
        session = self._opened()
        return new_hvac(self.endpoint, session, self.breaker, token, token_generation)

    def reopen(self) -> None:
        """Read the certificate files anew at the next use; calls under way end undisturbed."""
        self._session = None

    def close(self) -> None:
        """Close the pooled connections."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _opened(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                self._session = new_session(self.endpoint.tls())
            return self._session
