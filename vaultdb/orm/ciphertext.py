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
from vaultdb.crypto.limits import HEADER_SIZE
from vaultdb.errors import DecryptionError, KeyringError, StatementRefused
from vaultdb.orm.runtime import find_runtime
from vaultdb.orm.unwrapped import unwrapped

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

_PREFIX = bytes((MAGIC, SUITE))
_KEY_ID = slice(len(_PREFIX), HEADER_SIZE)

_KNOWN_HEADERS = 1024
"""Headers remembered per column and engine, at most: more than a process uses DEKs at a time."""


def ciphertext_only(dialect: Dialect) -> Callable[[Any], bytes | None]:
    """Return the function that lets ciphertexts of the dialect's engine pass, and NULL.

    It raises `StatementRefused` for everything else, and on an engine that vaultdb did not prepare.
    """
    # A header that was once that of a DEK stays proof of a ciphertext, whatever becomes of the DEK.
    known: set[bytes] = set()

    def check(value: Any) -> bytes | None:
        if value is None:
            return None
        if value.__class__ is bytes:
            envelope: bytes = value
            header = envelope[:HEADER_SIZE]
            if header in known:
                return envelope
            if _is_ours(header, dialect):
                if len(known) >= _KNOWN_HEADERS:
                    known.clear()
                known.add(header)
                return envelope
        raise unwrapped(
            StatementRefused(
                "a plaintext reached the driver without having been encrypted for its row: prepare "
                "the engine with vaultdb.create_engine() or vaultdb.install(engine), and give "
                "encrypted columns their values in insert(), update() or the Session"
            )
        )

    return check


def _is_ours(header: bytes, dialect: Dialect) -> bool:
    runtime = find_runtime(dialect)
    if runtime is None or len(header) != HEADER_SIZE or not header.startswith(_PREFIX):
        return False
    try:
        runtime.keyring.get(header[_KEY_ID])
    except (DecryptionError, KeyringError):
        return False
    return True
