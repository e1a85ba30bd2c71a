"""The unwrapped DEK: the only object that holds one, and the only way to use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn
from uuid import UUID

from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.blind_index import BlindIndex
from vaultdb.crypto.value_cipher import ValueCipher
from vaultdb.errors import ConfigurationError
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose, WrappedKey

EncryptAll = Callable[
    [ColumnIdentity, Sequence[bytes], Sequence[bytes], Sequence[bytes]], list[bytes]
]
Encrypt = Callable[[ColumnIdentity, bytes, bytes, bytes], bytes]
DecryptAll = Callable[[ColumnIdentity, Sequence[bytes], Sequence[bytes]], list[bytes]]
Decrypt = Callable[[ColumnIdentity, bytes, bytes], bytes]
DecryptBound = Callable[[ColumnIdentity, bytes, int], bytes]
IndexDigest = Callable[[str, str, bytes], bytes]


class DataKey:
    """An unwrapped DEK of one realm and scope; cannot be printed, pickled, copied or compared.

    `encrypt`, `decrypt` and `index_digest` are bound straight to the ciphers inside, so that a
    value pays for no call through this class.

    Args:
        row: the key table's row that the DEK was unwrapped from.
        dek: 32 secret bytes.

    """

    __slots__ = (
        "__weakref__",
        "decrypt",
        "decrypt_all",
        "decrypt_bound",
        "encrypt",
        "encrypt_all",
        "index_digest",
        "key_id",
        "realm",
        "scope",
        "state",
        "version",
    )

    key_id: bytes
    realm: UUID
    scope: KeyScope
    version: int
    state: KeyState
    encrypt: Encrypt
    """(column, frame, row binding, 12 bytes of nonce tail) to the envelope"""
    encrypt_all: EncryptAll
    """(column, frames, row bindings, nonce tails) to the envelopes"""
    decrypt: Decrypt
    """(column, envelope, row binding) to the frame; raises `DecryptionError`"""
    decrypt_all: DecryptAll
    """(column, envelopes, row bindings) to the frames; raises `DecryptionError` for any of them"""
    decrypt_bound: DecryptBound
    """(column, length and row binding and envelope, start of the envelope) to the frame"""
    index_digest: IndexDigest
    """(index domain, kind, `index_message`) to the 26 bytes of the blind index"""

    def __init__(self, row: WrappedKey, dek: bytes) -> None:
        self.key_id = row.key_id
        self.realm = row.realm
        self.scope = row.scope
        self.version = row.version
        self.state = row.state
        if row.scope.purpose is Purpose.DATA:
            cipher = ValueCipher(dek, realm=row.realm, tenant=row.scope.tenant)
            self.encrypt = cipher.encrypt
            self.encrypt_all = cipher.encrypt_all
            self.decrypt = cipher.decrypt
            self.decrypt_all = cipher.decrypt_all
            self.decrypt_bound = cipher.decrypt_bound
            self.index_digest = _not_an_index_key
        else:
            self.encrypt = _not_a_data_key
            self.encrypt_all = _not_a_data_key
            self.decrypt = _not_a_data_key
            self.decrypt_all = _not_a_data_key
            self.decrypt_bound = _not_a_data_key
            self.index_digest = BlindIndex(dek, realm=row.realm, tenant=row.scope.tenant).digest

    def __repr__(self) -> str:
        return (
            f"<DataKey {self.key_id.hex()} {self.scope.purpose} "
            f"tenant={self.scope.tenant!r} keyset={self.scope.keyset!r} "
            f"version={self.version} {self.state}>"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a data key cannot be pickled or copied")


def _not_a_data_key(*_: object) -> NoReturn:
    raise ConfigurationError("an index key does not encrypt or decrypt values; use a data key")


def _not_an_index_key(*_: object) -> NoReturn:
    raise ConfigurationError("a data key does not make blind index values; use an index key")
