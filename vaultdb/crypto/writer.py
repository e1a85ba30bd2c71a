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

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Sealer = Callable[[bytes, bytes, bytes | None], bytes]
"""`AESGCM.encrypt` of one subkey: nonce tail, frame, associated data."""


class WriterPrefix:
    """One prefix in use: its cipher, the process that drew it, and the values it may still take.

    A fork's child drops it before it can write. The fork handler is the first net; `process` is the
    second, for forks that skip Python's handlers. Even without both, tails are fresh and no nonce
    repeats.
    """

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
