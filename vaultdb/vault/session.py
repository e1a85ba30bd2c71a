"""The connections to Vault: their own pool, deaf to the environment."""

from __future__ import annotations

import ssl
from typing import Any

import requests
from requests.adapters import HTTPAdapter

POOL_SIZE = 32
"""Connections kept open. With the default of 10, sixteen threads drop connections and shake hands
again for each call."""


class PinnedAdapter(HTTPAdapter):
    """An adapter that trusts what its TLS context trusts, whatever the request or machine says."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        # No retries here: they would multiply the timeouts and repeat what must not be repeated.
        super().__init__(pool_connections=1, pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use our TLS context for the pool."""
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ARG002
        """Add no other authority and no certificate to the context."""
        conn.cert_reqs = "CERT_REQUIRED"

    def build_connection_pool_key_attributes(
        self, *args: Any, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Keep our TLS context; some versions of requests put their own in its place here."""
        host, _ = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}


def new_session(context: ssl.SSLContext) -> requests.Session:
    """Open a session that ignores proxies, `.netrc` and CA bundles of the environment."""
    session = requests.Session()
    session.trust_env = False
    session.verify = True
    session.mount("https://", PinnedAdapter(context))
    session.adapters.pop("http://", None)
    return session
