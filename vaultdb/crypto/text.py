"""Text to UTF-8, refusing what PostgreSQL or a reader could not hold."""

from __future__ import annotations

from vaultdb.errors import ValueRefused


def utf8(value: str) -> bytes:
    """Encode text.

    The codec's own error carries the text, so it is dropped before ours is raised.

    Raises:
        ValueRefused: the text holds a NUL character or a lone surrogate.

    """
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        encoded = None
    if encoded is None:
        raise ValueRefused("text with a lone surrogate cannot be stored; decode it properly first")
    if 0 in encoded:
        raise ValueRefused("text with a NUL character cannot be stored; use bytes instead")
    return encoded
