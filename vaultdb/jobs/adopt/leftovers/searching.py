"""Counting values in a stream of bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

WAL_PAGE_SIZE: Final = 8192
"""Bytes of a page of the WAL, unless PostgreSQL was compiled otherwise."""
_SHORT_HEADER: Final = 24
_LONG_HEADER: Final = 40
_IS_LONG: Final = 0x0002
_MAGIC: Final = 0xD100
"""The upper byte of XLOG_PAGE_MAGIC, of every version."""


@dataclass(slots=True)
class Matches:
    """What was found in one place.

    Args:
        size: bytes that were read.
        occurrences: of all values together.
        values: which ones, by their position among the samples.

    """

    size: int = 0
    occurrences: int = 0
    values: set[int] = field(default_factory=set)


def search(chunks: Iterable[bytes], patterns: Sequence[bytes]) -> Matches:
    """Count the patterns in chunks that follow each other, also across their borders.

    Args:
        chunks: of one place.
        patterns: secret; none of them empty.

    """
    found = Matches()
    overlap = max(map(len, patterns)) - 1
    tail = b""
    for chunk in chunks:
        buffer = tail + chunk
        for number, pattern in enumerate(patterns):
            count = buffer.count(pattern) - tail.count(pattern)
            if count > 0:
                found.occurrences += count
                found.values.add(number)
        found.size += len(chunk)
        tail = buffer[-overlap:] if overlap else b""
    return found


def without_page_headers(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Take the headers out of pages of the WAL, which stand in the middle of records.

    Args:
        chunks: whole pages.

    """
    for chunk in chunks:
        pages = (chunk[at : at + WAL_PAGE_SIZE] for at in range(0, len(chunk), WAL_PAGE_SIZE))
        yield b"".join(page[_header_size(page) :] for page in pages)


def _header_size(page: bytes) -> int:
    if len(page) < _SHORT_HEADER:
        return 0
    magic, info = struct.unpack_from("=HH", page)
    if magic & 0xFF00 != _MAGIC:
        return 0
    return _LONG_HEADER if info & _IS_LONG else _SHORT_HEADER
