"""The writer prefix: one nonce prefix, and so one subkey, for the values a process writes.

XAES derives a subkey from the first half of the nonce, which costs more than the encryption of a
short value. A process therefore draws that half once and keeps it for up to 2^16 values, with a
fresh second half for each. On the wire this is ordinary XAES; an observer learns which values one
process wrote close together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NoReturn
from weakref import WeakSet

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Sealer = Callable[[bytes, bytes, bytes | None], bytes]
"""`AESGCM.encrypt` of one subkey: nonce tail, frame, associated data."""


class WriterPrefix:
    """One prefix in use: its cipher, the process that drew it, and the values it may still take."""

    __slots__ = ("encrypt", "head", "process", "uses")

    head: bytes
    """The envelope's first 30 bytes: header and nonce prefix."""
    encrypt: Sealer
    process: int
    uses: Iterator[int]
    """One step per value; stepping is atomic, so threads never take the same one."""

    def __init__(self, head: bytes, cipher: AESGCM, values: int) -> None:
        self.head = head
        self.encrypt = cipher.encrypt
        self.process = os.getpid()
        self.uses = iter(range(values))

    def retire(self) -> None:
        """Take no more values."""
        self.uses = iter(())

    def __repr__(self) -> str:
        return "<WriterPrefix>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a writer prefix holds a key and cannot be pickled or copied")


_live: WeakSet[WriterPrefixOwner] = WeakSet()


class WriterPrefixOwner:
    """Something that holds a writer prefix; a fork's child drops it before it can write.

    The fork handler is the first net. `process` is the second, for forks that skip Python's
    handlers. Even without both, tails are fresh and no nonce repeats.
    """

    __slots__ = ("__weakref__", "_writer")

    _writer: WriterPrefix

    def __init__(self) -> None:
        _live.add(self)

    def _retire_writer(self) -> None:
        self._writer.retire()


def _retire_all() -> None:
    for owner in list(_live):
        owner._retire_writer()  # noqa: SLF001  # the owner's own base class, same module


if hasattr(os, "register_at_fork"):  # absent on Windows, which cannot fork
    os.register_at_fork(after_in_child=_retire_all)
