"""Open every rewrapped DEK once, and only then drop its previous wrapping.

The rotator cannot do this: it never sees a DEK. A role that may decrypt unwraps each key and
recomputes its id. One that does not open is given its previous wrapping back.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from vaultdb.crypto.derive import key_id as key_id_of
from vaultdb.db.rewraps import RewrapTable, Unverified
from vaultdb.errors import KeyringError, KeyUnavailable
from vaultdb.jobs.rewrap import CHUNK_SIZE, Progress
from vaultdb.keys.provider import KekMissing, KeyProvider
from vaultdb.keys.unwrapping import chunks_by_kek
from vaultdb.keys.wrapped_key import WrappedKey


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found."""

    verified: int
    taken_back: tuple[str, ...]
    """Key ids whose new wrapping did not open and whose previous one did."""
    broken: tuple[str, ...]
    """Key ids of which neither wrapping opens; both are kept."""


def verify(
    provider: KeyProvider, table: RewrapTable, *, progress: Progress | None = None
) -> Verified:
    """Verify every rewrapped key.

    Args:
        provider: of a role that may decrypt.
        table: the key table, by a login that may change wrappings.
        progress: told about every chunk.

    Raises:
        KeyUnavailable: the provider cannot be reached; nothing was taken back because of that.
        KeyDenied: the role may not decrypt.

    """
    verified = 0
    taken_back: list[str] = []
    broken: list[str] = []
    with closing(table.unverified(CHUNK_SIZE)) as unverified:
        for chunk in unverified:
            good, bad = _opened(provider, chunk, previous=False)
            verified += table.confirm([item.key for item in good])
            if bad:
                revived, lost = _opened(provider, bad, previous=True)
                table.take_back([item.key for item in revived])
                taken_back += [item.key.key_id.hex() for item in revived]
                broken += [item.key.key_id.hex() for item in lost]
            if progress:
                progress(len(chunk))
    return Verified(verified, tuple(taken_back), tuple(broken))


def _opened(
    provider: KeyProvider, items: list[Unverified], *, previous: bool
) -> tuple[list[Unverified], list[Unverified]]:
    """Split into those that open to their key id and those that do not."""
    rows = [item.before() if previous else item.key for item in items]
    good: list[Unverified] = []
    bad: list[Unverified] = []
    deks: dict[bytes, bytes | KeyringError] = {}
    for holder, batch in chunks_by_kek(provider, rows):
        opened = _unwrapped(holder, batch)
        deks.update((row.key_id, dek) for row, dek in zip(batch, opened, strict=True))
    for item in items:
        dek = deks[item.key.key_id]
        # An outage says nothing about a key: never take a wrapping back because of it.
        if isinstance(dek, KeyUnavailable):
            raise dek
        (good if _is_key(item, dek) else bad).append(item)
    return good, bad


def _unwrapped(holder: KeyProvider, batch: Sequence[WrappedKey]) -> Sequence[bytes | KeyringError]:
    try:
        return holder.unwrap([(row.wrapped, row.context()) for row in batch])
    except KekMissing as error:  # a tenant's, which is gone; the keys of others are looked at
        return [error] * len(batch)


def _is_key(item: Unverified, dek: bytes | KeyringError) -> bool:
    return isinstance(dek, bytes) and hmac.compare_digest(key_id_of(dek), item.key.key_id)
