"""The last check before the driver: an encrypted column binds ciphertexts and nothing else.

What proves a ciphertext is its header: suite 1, and 16 bytes that are the id of a DEK in this
engine's keyring. A plaintext begins like that with a probability of 2⁻¹⁴⁴. An object of a class of
ours around each envelope would prove the same, but a bulk insert with three encrypted columns took
10 % longer with it, most of that in the garbage collector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vaultdb.crypto.envelope import MAGIC, SUITE
from vaultdb.crypto.limits import OVERHEAD
from vaultdb.errors import DecryptionError, KeyringError, StatementRefused
from vaultdb.orm.runtime import find_runtime
from vaultdb.orm.unwrapped import unwrapped

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from vaultdb.keys.keyring import Keyring

_PREFIX = bytes((MAGIC, SUITE))
_KEY_ID = slice(2, 18)


def ciphertext_only(dialect: Dialect) -> Callable[[Any], bytes | None]:
    """Return the function that lets ciphertexts of the dialect's engine pass, and NULL.

    It raises `StatementRefused` for everything else, and on an engine that vaultdb did not prepare.
    """

    def check(value: Any) -> bytes | None:
        if value is None:
            return None
        if value.__class__ is bytes and value[:2] == _PREFIX and len(value) >= OVERHEAD:
            runtime = find_runtime(dialect)
            if runtime is not None and _has_key(runtime.keyring, value[_KEY_ID]):
                envelope: bytes = value
                return envelope
        raise unwrapped(
            StatementRefused(
                "a plaintext reached the driver without having been encrypted for its row: prepare "
                "the engine with vaultdb.create_engine() or vaultdb.install(engine), and give "
                "encrypted columns their values in insert(), update() or the Session"
            )
        )

    return check


def _has_key(keyring: Keyring, key_id: bytes) -> bool:
    if keyring.holds(key_id):
        return True
    try:  # dropped from the cache since the value was encrypted
        keyring.get(key_id)
    except (DecryptionError, KeyringError):
        return False
    return True
