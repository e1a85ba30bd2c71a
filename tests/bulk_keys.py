"""Thousands of wrapped data keys at once, as only an administrator can make them."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from uuid import UUID

import psycopg

from vaultdb.crypto.derive import key_id
from vaultdb.dev.vault_api import VaultApi
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose, WrappedKey
from vaultdb.settings.model import KEK, TRANSIT_MOUNT

BATCH = 200  # Vault refuses requests of more than 1,000 JSON strings


def wrap_many(
    admin: VaultApi, realm: UUID, count: int, *, mount: str = TRANSIT_MOUNT, kek: str = KEK
) -> list[WrappedKey]:
    """Wrap *count* random DEKs, each of a tenant of its own, as transit's datakey would."""
    wrapped = []
    for start in range(0, count, BATCH):
        keys = [_key(realm, number) for number in range(start, min(start + BATCH, count))]
        answer = admin.write(
            f"{mount}/encrypt/{kek}",
            batch_input=[
                {"plaintext": _b64(dek), "context": _b64(key.context())} for dek, key in keys
            ],
        )
        for (_, key), result in zip(keys, answer["data"]["batch_results"], strict=True):
            wrapped.append(_wrapped(key, result["ciphertext"]))
    return wrapped


def store_many(connection: psycopg.Connection, keys: list[WrappedKey]) -> None:
    """Copy wrapped keys into the key table."""
    columns = "key_id, realm, tenant, keyset, purpose, version, state, kek_version, wrapped"
    with connection.cursor().copy(f"COPY vaultdb.data_key ({columns}) FROM STDIN") as copy:
        for row in _rows(keys):
            copy.write_row(row)
    connection.execute("ANALYZE vaultdb.data_key")


def _rows(keys: list[WrappedKey]) -> Iterator[tuple[object, ...]]:
    for key in keys:
        scope = key.scope
        yield (
            key.key_id,
            key.realm,
            scope.tenant,
            scope.keyset,
            scope.purpose.value,
            key.version,
            key.state.value,
            key.kek_version,
            key.wrapped,
        )


def _key(realm: UUID, number: int) -> tuple[bytes, WrappedKey]:
    dek = os.urandom(32)
    scope = KeyScope(f"tenant-{number:06}", "default", Purpose.DATA)
    return dek, WrappedKey(key_id(dek), realm, scope, 1, KeyState.ACTIVE, 1, "")


def _wrapped(key: WrappedKey, ciphertext: str) -> WrappedKey:
    version = int(ciphertext.split(":")[1].removeprefix("v"))
    return WrappedKey(key.key_id, key.realm, key.scope, 1, key.state, version, ciphertext)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
