"""From an answer, or the lack of one, to an error of our own.

Nothing that a server sent and nothing that was sent to it gets into an error: a batch answer of
Vault carries plaintext DEKs in the body of a 400, and the exceptions of requests carry the request
with its token. Refusals are recognised by fixed phrases, and only our words for them are shown.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

import requests

from vaultdb.errors import (
    VaultDenied,
    VaultError,
    VaultRejected,
    VaultUnavailable,
    VaultUntrusted,
)

LEASE_GONE: Final = "there is no such lease; it has ended, or was revoked"
"""What is said about a lease that Vault no longer knows."""

BACKEND_REASONS: Final = (
    ("objects depend on it", "the leased login owns something, or was granted something by hand"),
    ("password authentication failed", "postgresql refused the engine's password"),
    ("signed by unknown authority", "vault does not trust the database's certificate"),
    ("certificate is valid for", "the database's certificate is for another host"),
    ("unable to read ca file", "sslrootcert is not a file that vault can read on its machine"),
    ("no such host", "vault cannot resolve the database's host"),
    ("connection refused", "nothing listens at the database's address, as vault sees it"),
    ("sqlstate 3d000", "there is no such database"),
    ("sqlstate 42501", "the engine's login lacks a right; run vaultdb provision postgres"),
    ("sqlstate 42704", "postgresql lacks a role; run vaultdb provision postgres"),
    ("sqlstate 42883", "postgresql lacks kill_sessions; run vaultdb provision postgres"),
    ("sqlstate 3f000", "postgresql lacks kill_sessions; run vaultdb provision postgres"),
    ("failed to renew entry", "the database did not renew the login; look at vault's log"),
    ("failed to revoke entry", "the database did not end the login; look at vault's log"),
    ("failed to execute query", "the database refused to make the login; look at vault's log"),
    ("unable to start transaction", "vault cannot reach the database; see whether it runs"),
    ("failed to connect to", "vault cannot reach the database; see whether it runs"),
    ("error verifying connection", "vault cannot reach the database; see whether it runs"),
)
"""Phrases of the database engine, which speak of PostgreSQL and not of Vault."""
_BACKEND: Final = frozenset(ours for _, ours in BACKEND_REASONS)

REASONS: Final = (
    *BACKEND_REASONS,
    ("lease not found", LEASE_GONE),
    ("invalid lease", LEASE_GONE),
    ("unknown role", "there is no such role; check database.lease, lease_kind, certificate_role"),
    ("not allowed by this role", "the role does not allow this name; add it to allowed_domains"),
    ("message authentication failed", "the wrapped key was altered or belongs to another context"),
    ("invalid ciphertext", "the wrapped key is malformed or newer than this server's key"),
    ("too old", "the key's version is below min_decryption_version"),
    ("missing 'context'", "the key is derived and no context was given"),
    ("encryption key not found", "there is no such key; check vault.kek"),
    ("soft-deleted", "the key is soft-deleted"),
    ("high complexity", "the request has too many items"),
    ("no handler for route", "nothing is mounted there; check the mount's name"),
    ("invalid role or secret id", "wrong role id or secret id, or the secret id is used up"),
    ("invalid role_id", "wrong role id"),
    ("invalid secret id", "wrong secret id, or it is used up or expired"),
    ("role could not be found", "there is no such role; check vault.role"),
    ("could not be found", "there is no such role; check vault.role"),
    ("wrapping token is not valid", "the wrapping token was used before, or has expired"),
    ("failed to verify client's certificate", "the client certificate cannot be verified"),
    ("not authorized", "the role does not accept this service account"),
    ("token not yet valid", "the JWT is not valid yet; compare the clocks"),
    ("lookup failed", "kubernetes does not know the service account token"),
    ("no chain matching", "no role accepts this client certificate"),
    ("client certificate must be supplied", "no client certificate was sent"),
    ("token is expired", "the JWT has expired"),
    ("error verifying token", "the JWT's signature or claims are not accepted"),
    ("error validating token", "the JWT's signature or claims are not accepted"),
    ("error validating claims", "the JWT's claims are not accepted by the role"),
    ("upsert", "there is no such key; check vault.kek"),
    ("vault is sealed", "it is sealed; unseal it"),
    ("internal error", "internal error; its audit log may be blocked"),
    ("permission denied", "permission denied"),
)
"""Phrases of Vault and OpenBao, and what is said instead; the first match counts."""


class Forbidden(VaultDenied):
    """403: a bad token and a missing permission look the same until `lookup-self` is asked."""


class BackendFailed(VaultUnavailable):
    """Vault runs, and what stands behind it failed: no reason to leave Vault alone."""


class NotFound(VaultRejected):
    """404: there is nothing at this path."""


class RateLimited(VaultUnavailable):
    """429: not an outage; nothing was done.

    Args:
        message: for the reader.
        retry_after: seconds that the server asked for, None when it did not say.

    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def error_of(response: requests.Response, what: str) -> VaultError | None:
    """Return the error that an answer stands for, None when it is a success.

    Args:
        response: the answer; its body is looked at for known phrases only.
        what: the path that was called.

    """
    status = response.status_code
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    reason = _reason(response)
    text = f"{what}: vault answered {status}" + (f", {reason}" if reason else "")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(text, _seconds(response.headers.get("Retry-After")))
    if status == HTTPStatus.FORBIDDEN:
        return Forbidden(text)
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(text)
    if status < HTTPStatus.BAD_REQUEST:
        return VaultUnavailable(f"{text}, a redirection; set vault.addr to the active server")
    return _kind(status, reason)(text)


def error_of_failure(failure: Exception, addr: str) -> VaultError:
    """Return the error for a call that got no answer; nothing of the failure is kept."""
    for cause in _causes(failure):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return VaultUntrusted(
                f"the certificate of {addr} is not trusted ({cause.verify_message}); "
                "check vault.ca_cert and the host name in vault.addr"
            )
        if isinstance(cause, ssl.SSLError) and cause.reason:
            if "CERTIFICATE" in cause.reason or "UNKNOWN_CA" in cause.reason:
                return VaultDenied(
                    f"{addr} did not accept the client certificate; check vault.client_cert"
                )
            if cause.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
                return VaultUntrusted(f"{addr} does not speak TLS; check vault.addr")
    if isinstance(failure, requests.Timeout | TimeoutError):
        return VaultUnavailable(f"{addr} did not answer in time")
    for cause in _causes(failure):
        if isinstance(cause, TimeoutError):
            return VaultUnavailable(f"{addr} did not answer in time")
    return VaultUnavailable(f"{addr} cannot be reached; check vault.addr and that it runs")


def take(answer: Any, *names: str) -> Any:
    """Return a field of an answer; an answer without it comes from something else than Vault."""
    for name in names:
        if not isinstance(answer, dict) or name not in answer:
            raise VaultRejected(f"vault's answer has no {'.'.join(names)}; check vault.addr")
        answer = answer[name]
    return answer


def known_reason(text: str) -> str:
    """Return our words for a server's text, empty when it is not one we know."""
    lowered = text.lower()
    return next((ours for theirs, ours in REASONS if theirs in lowered), "")


def _kind(status: int, reason: str) -> type[VaultError]:
    if reason in _BACKEND:
        return BackendFailed
    # 412 and 472/473: a standby that has not caught up, or cannot serve this.
    waits = status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.PRECONDITION_FAILED, 472, 473}
    if waits or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return VaultUnavailable
    return VaultRejected


def _reason(response: requests.Response) -> str:
    try:
        body: Any = response.json()
    except ValueError:
        return ""
    errors = body.get("errors") if isinstance(body, dict) else None
    return known_reason(" ".join(map(str, errors))) if isinstance(errors, list) else ""


def _seconds(header: str | None) -> float | None:
    """Read a Retry-After in seconds; a date is not understood and counts as unsaid."""
    try:
        return max(0.0, float(header)) if header is not None else None
    except ValueError:
        return None


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """Walk what requests and urllib3 wrap each other's errors in."""
    waiting: list[Any] = [failure]
    seen: set[int] = set()
    while waiting:
        error = waiting.pop()
        if not isinstance(error, BaseException) or id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        waiting += [*error.args, getattr(error, "reason", None), error.__cause__, error.__context__]
