"""From rows of the key table to DEKs that are proven to be the rows' own."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from uuid import UUID

from vaultdb.crypto.derive import key_id as key_id_of
from vaultdb.crypto.limits import KEY_SIZE
from vaultdb.errors import KeyDenied, KeyringError, KeyUnavailable, VaultDBError
from vaultdb.keys.data_key import DataKey
from vaultdb.keys.fault import Fault
from vaultdb.keys.provider import BATCH_SIZE, KeyProvider
from vaultdb.keys.wrapped_key import WrappedKey

Unwrapped = dict[bytes, DataKey | Fault]


def unwrap_rows(provider: KeyProvider, realm: UUID, rows: Sequence[WrappedKey]) -> Unwrapped:
    """Unwrap rows in as few requests as possible; one bad row does not spoil the others.

    Args:
        provider: holds the KEK, and knows who holds those of tenants.
        realm: the keyring's own; a row of another realm is refused unseen.
        rows: any number, of any scopes.

    """
    own = [row for row in rows if row.realm == realm]
    foreign = Fault(KeyDenied, "the data key belongs to another realm")
    results: Unwrapped = {row.key_id: foreign for row in rows if row.realm != realm}
    for holder, chunk in chunks_by_kek(provider, own):
        results.update(_unwrap_chunk(holder, chunk))
    return results


def chunks_by_kek(
    provider: KeyProvider, rows: Sequence[WrappedKey]
) -> Iterator[tuple[KeyProvider, Sequence[WrappedKey]]]:
    """Cut rows into batches under one KEK each, together with the provider of that KEK."""
    by_kek: dict[int, tuple[KeyProvider, list[WrappedKey]]] = {}
    for row in rows:
        holder = provider.for_scope(row.scope)
        by_kek.setdefault(id(holder), (holder, []))[1].append(row)
    for holder, under in by_kek.values():
        for chunk in chunks(under):
            yield holder, chunk


def chunks(rows: Sequence[WrappedKey]) -> Iterator[Sequence[WrappedKey]]:
    """Cut rows into the batches that a provider takes."""
    for start in range(0, len(rows), BATCH_SIZE):
        yield rows[start : start + BATCH_SIZE]


def _unwrap_chunk(provider: KeyProvider, rows: Sequence[WrappedKey]) -> Unwrapped:
    try:
        deks = provider.unwrap([(row.wrapped, row.context()) for row in rows])
    except KeyringError as error:
        return dict.fromkeys((row.key_id for row in rows), Fault.of(error))
    except VaultDBError:
        raise  # a setting that cannot work is no outage
    except Exception as error:  # noqa: BLE001  # a provider from an entry point may raise anything
        # Only the class: the text of a foreign exception may quote the plaintext DEKs.
        text = f"the key provider {provider.name!r} failed with {type(error).__name__}"
        return dict.fromkeys((row.key_id for row in rows), Fault(KeyUnavailable, text))
    if len(deks) != len(rows):
        text = f"the key provider {provider.name!r} answered {len(deks)} of {len(rows)} keys"
        return dict.fromkeys((row.key_id for row in rows), Fault(KeyUnavailable, text))
    return {row.key_id: _proven(row, dek) for row, dek in zip(rows, deks, strict=True)}


def _proven(row: WrappedKey, dek: bytes | KeyringError) -> DataKey | Fault:
    """Recompute the key id: a wrapped DEK exchanged in the table is another key."""
    if isinstance(dek, KeyringError):
        return Fault.of(dek)
    if len(dek) != KEY_SIZE or not hmac.compare_digest(key_id_of(dek), row.key_id):
        return Fault(
            KeyDenied,
            f"data key {row.key_id.hex()} does not match what its row unwraps to; "
            "the key table was changed by hand or restored in part",
        )
    return DataKey(row, dek)
