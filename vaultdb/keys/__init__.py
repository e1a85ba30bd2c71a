"""Data keys: their rows, their unwrapping, and the keyring that caches them, without any I/O."""

from __future__ import annotations

from vaultdb.keys.creation import create_key, create_keys, next_version
from vaultdb.keys.data_key import DataKey
from vaultdb.keys.index_keys import incoming_index_key, writing_index_key
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.listener import KeyListener
from vaultdb.keys.provider import BATCH_SIZE, KeyProvider
from vaultdb.keys.store import KeyStore, MemoryKeyStore
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose, WrappedKey

__all__ = [
    "BATCH_SIZE",
    "DataKey",
    "KeyListener",
    "KeyProvider",
    "KeyScope",
    "KeyState",
    "KeyStore",
    "Keyring",
    "MemoryKeyStore",
    "Purpose",
    "WrappedKey",
    "create_key",
    "create_keys",
    "incoming_index_key",
    "next_version",
    "writing_index_key",
]
