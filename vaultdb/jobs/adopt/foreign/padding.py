"""The paddings that sqlalchemy-utils puts behind a value before AES in CBC mode."""

from __future__ import annotations

from enum import StrEnum

from vaultdb.jobs.adopt.foreign.failure import WRONG_KEY, Unreadable

BLOCK_SIZE = 16
"""Bytes of an AES block."""


class Padding(StrEnum):
    """What sqlalchemy-utils calls them; `naive` is its default."""

    NAIVE = "naive"
    PKCS5 = "pkcs5"
    ZEROES = "zeroes"
    ONE_AND_ZEROES = "oneandzeroes"

    def remove(self, padded: bytes) -> bytes:
        """Return what was padded.

        With `naive`, asterisks at the end of a value are lost: the package loses them too.

        Raises:
            Unreadable: it was not padded like this, so the key is another.

        """
        match self:
            case Padding.NAIVE:
                return padded.rstrip(b"*")
            case Padding.PKCS5:
                return _counted(padded, filler=None)
            case Padding.ZEROES:
                return _counted(padded, filler=0)
            case Padding.ONE_AND_ZEROES:
                return _marked(padded)


def _counted(padded: bytes, filler: int | None) -> bytes:
    """Take off as many bytes as the last one says; the others are fillers, or like the last."""
    size = padded[-1] if padded else 0
    other = size if filler is None else filler
    if not 0 < size <= BLOCK_SIZE or padded[-size:-1] != bytes((other,)) * (size - 1):
        raise Unreadable(WRONG_KEY)
    return padded[:-size]


def _marked(padded: bytes) -> bytes:
    """Take off zeroes and one marker; the package takes all markers, and with them text's own."""
    marked = padded.rstrip(b"\0")
    if not marked.endswith(b"\x80") or len(padded) - len(marked) >= BLOCK_SIZE:
        raise Unreadable(WRONG_KEY)
    return marked[:-1]
