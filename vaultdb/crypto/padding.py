"""Padding inside the encryption: hides the exact length of short secrets.

ISO/IEC 7816-4: one byte 0x80, then as many zero bytes as make the payload a multiple of the pad.
There is always at least the marker, so that a payload's own trailing bytes are never taken for it.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from vaultdb.crypto.limits import MAX_PAD
from vaultdb.errors import ConfigurationError

PAD_MARKER: Final = 0x80
_SMALLEST: Final = 2  # a pad of 1 would only add the marker


@cache
def padding_tails(pad: int) -> tuple[bytes, ...]:
    """List the bytes to append, by payload length modulo `pad`.

    Args:
        pad: 2 to 4096 bytes.

    Raises:
        ConfigurationError: another number.

    """
    if not _SMALLEST <= pad <= MAX_PAD:
        raise ConfigurationError(f"pad must be from {_SMALLEST} to {MAX_PAD} bytes, or None")
    return tuple(bytes((PAD_MARKER,)) + bytes(pad - 1 - used) for used in range(pad))


def pad_payload(payload: bytes, pad: int) -> bytes:
    """Pad a payload to the next multiple of `pad` bytes."""
    return payload + padding_tails(pad)[len(payload) % pad]


def unpad_payload(padded: bytes) -> bytes | None:
    """Take the padding off, or return None when there is none.

    The pad is not needed: a column may be declared with another one tomorrow.
    """
    marked = padded.rstrip(b"\0")
    return marked[:-1] if marked[-1:] == bytes((PAD_MARKER,)) else None
