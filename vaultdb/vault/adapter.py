"""What hvac sends its requests through: our session, our deadline, our errors."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import hvac
import requests
from hvac.adapters import RawAdapter

from vaultdb.errors import VaultError, VaultRejected, VaultUnavailable
from vaultdb.vault.answers import BackendFailed, RateLimited, error_of, error_of_failure
from vaultdb.vault.breaker import Breaker
from vaultdb.vault.deadline import time_left
from vaultdb.vault.endpoint import Endpoint

CONNECT_SHARE = 0.3
"""Of the whole timeout, for a TCP connection and again for a TLS handshake."""
ANSWER_SHARE = 0.45
"""Of the whole timeout, for one answer: leaves room for a second try on a new connection."""


class VaultAdapter(RawAdapter):  # type: ignore[misc]  # hvac has no types
    """Sends one request and returns its JSON, or raises an error that has no context.

    hvac's own errors quote the body of the answer, which may hold plaintext DEKs; its handling of
    statuses is never reached.
    """

    endpoint: Endpoint
    breaker: Breaker
    token_generation: int = 0
    """which login the token comes from, for what dies with it"""

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        raise_exception: bool = True,  # noqa: ARG002  # hvac's; an error is always raised
        **kwargs: Any,
    ) -> Any:
        """Send a request within the deadline; raise `VaultError` unless it is a success."""
        self.breaker.check()
        outcome = self._exchange(method, url, headers, kwargs)
        if isinstance(outcome, VaultError):
            # Not in an `except` block: the context would carry the request with its token.
            raise outcome
        return outcome

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str] | None, kwargs: dict[str, Any]
    ) -> Any:
        path = url.strip("/").removeprefix("v1/").partition("?")[0]
        total = self.endpoint.timeout
        left = time_left(total)
        kwargs["timeout"] = (min(left, total * CONNECT_SHARE), min(left, total * ANSWER_SHARE))
        try:
            response = super().request(
                method, url, headers=dict(headers or {}), raise_exception=False, **kwargs
            )
        except (requests.RequestException, OSError) as failure:
            outcome: Any = error_of_failure(failure, self.endpoint.addr)
        else:
            outcome = error_of(response, path) or _content(response, path)
        self._note(outcome)
        return outcome

    def _note(self, outcome: object) -> None:
        if isinstance(outcome, RateLimited):
            self.breaker.succeeded()
            self.breaker.pause(outcome.retry_after or 0.0)
        elif isinstance(outcome, VaultUnavailable) and not isinstance(outcome, BackendFailed):
            self.breaker.failed(str(outcome))
        else:
            self.breaker.succeeded()


def _content(response: requests.Response, path: str) -> Any:
    if response.status_code != HTTPStatus.OK:
        return response  # 204 and its kind: hvac expects the response itself
    try:
        return response.json()
    except ValueError:
        return VaultRejected(f"{path}: the answer is not Vault's; check vault.addr")


def new_hvac(
    endpoint: Endpoint,
    session: requests.Session,
    breaker: Breaker,
    token: str = "",
    token_generation: int = 0,
) -> hvac.Client:
    """Make an hvac client over our session.

    Args:
        endpoint: the server.
        session: its connections.
        breaker: shared by all clients of the server.
        token: secret; empty for calls without one. Given in any case, or hvac would look for one
            in `VAULT_TOKEN` and `~/.vault-token`.
        token_generation: which login it comes from.

    """
    vault = hvac.Client(
        url=endpoint.addr,
        token=token,
        verify=True,  # given, or hvac reads VAULT_CACERT
        session=session,
        allow_redirects=False,  # a redirection would take the token elsewhere
        namespace=endpoint.namespace or "",
        adapter=VaultAdapter,
    )
    # hvac may have read VAULT_CLIENT_CERT; ours, if any, is in the session's TLS context.
    adapter = vault.adapter
    assert isinstance(adapter, VaultAdapter)
    adapter.endpoint = endpoint
    adapter.breaker = breaker
    adapter.token_generation = token_generation
    return vault
