"""The one injective encoding of lists of byte strings.

Everything that is authenticated or derived from goes through `canon`: two different lists
never encode to the same bytes, so `("ab", "c")` cannot stand in for `("a", "bc")`.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

_MAX_PARTS: Final = 255  # the count is one byte

pack_u32: Final = Struct(">I").pack


def canon(*parts: bytes) -> bytes:
    """Encode a list of byte strings: `u8 count ‖ Σ(u32be length ‖ part)`.

    Args:
        parts: up to 255 byte strings of up to 2^32 - 1 bytes each.

    Raises:
        ValueError: more than 255 parts.

    Example:
        >>> canon(b"ab", b"").hex()
        '0200000002616200000000'

    """
    if len(parts) > _MAX_PARTS:
        raise ValueError("canon takes at most 255 parts")
    pieces = [bytes((len(parts),))]
    for part in parts:
        pieces += (pack_u32(len(part)), part)
    return b"".join(pieces)
