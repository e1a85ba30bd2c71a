"""The seam to whatever holds the KEK: Vault, a file, or memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from vaultdb.errors import KeyDenied, KeyringError
from vaultdb.keys.wrapped_key import KeyScope

BATCH_SIZE = 100
"""Wrapped DEKs per request. Vault refuses a request of more than 1,000 JSON strings
(`max_request_json_strings`), which is 249 items of ciphertext and context; 100 leaves room."""


class KekMissing(KeyDenied):
    """There is no such KEK, or no more: what was wrapped under it cannot be opened by anybody."""


@runtime_checkable
class KeyProvider(Protocol):
    """Creates, unwraps and rewraps DEKs under a KEK that it never hands out.

    Every method may raise `KeyUnavailable` (try again) or `KeyDenied` (do not) for the call as a
    whole. Errors of one item of a batch are returned in its place. Methods are called from any
    thread, and must work in a child after a fork.
    """

    @property
    def name(self) -> str:
        """The word that selects this provider in the configuration."""
        ...

    def for_scope(self, scope: KeyScope) -> KeyProvider:
        """Return the provider of the KEK that wraps the DEKs of a scope, often this one itself.

        It belongs to this one, which is closed for both.
        """
        ...

    def ensure_kek(self) -> None:
        """Make the KEK unless it exists, where that is ours to do."""
        ...

    def create(self, context: bytes) -> tuple[bytes, str, int]:
        """Make a DEK; return its 32 secret bytes, the wrapped text and the KEK's version."""
        ...

    def unwrap(self, keys: Sequence[tuple[str, bytes]]) -> list[bytes | KeyringError]:
        """Unwrap at most `BATCH_SIZE` pairs of wrapped text and context, in one request."""
        ...

    def rewrap(self, keys: Sequence[tuple[str, bytes]]) -> list[tuple[str, int] | KeyringError]:
        """Wrap at most `BATCH_SIZE` DEKs under the newest KEK, without seeing their plaintext."""
        ...

    def rotate(self) -> int:
        """Make a new version of the KEK and return it; older versions still unwrap."""
        ...

    def latest_version(self) -> int:
        """Return the newest version of the KEK."""
        ...

    def check(self) -> None:
        """Raise `ConfigurationError` when the KEK is not fit to bind a DEK to its context."""
        ...

    def close(self) -> None:
        """Give back connections and forget secrets."""
        ...
