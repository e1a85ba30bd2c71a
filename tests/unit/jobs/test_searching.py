"""Values are counted wherever they lie: across chunks, across pages of the WAL, beside others."""

from __future__ import annotations

import struct
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vaultdb.jobs.adopt.leftovers.searching import WAL_PAGE_SIZE, search, without_page_headers


@given(
    data=st.binary(max_size=60).map(lambda noise: noise + b"needle" + noise[::-1] + b"needle-2"),
    cuts=st.lists(st.integers(0, 130), max_size=6).map(sorted),
)
def test_what_is_cut_between_chunks_is_counted_once(data: bytes, cuts: list[int]) -> None:
    borders = [0, *[min(cut, len(data)) for cut in cuts], len(data)]
    chunks = [data[a:b] for a, b in pairwise(borders)]

    found = search(chunks, [b"needle", b"needle-2", b"absent"])

    assert found.occurrences == 3
    assert found.values == {0, 1}
    assert found.size == len(data)


def _page(first: bool, content: bytes) -> bytes:
    size = 40 if first else 24
    head = struct.pack("=HH", 0xD110, 0x0002 if first else 0).ljust(size, b"\xff")
    return head + content.ljust(WAL_PAGE_SIZE - size, b"\0")


def test_a_record_that_goes_on_behind_a_page_header_is_read_as_one() -> None:
    start = b"x" * (WAL_PAGE_SIZE - 40 - 3) + b"nee"
    segment = _page(True, start) + _page(False, b"dle and needle")

    assert search([segment], [b"needle"]).occurrences == 1
    assert search(without_page_headers([segment]), [b"needle"]).occurrences == 2


def test_pages_that_are_none_of_the_wal_are_searched_as_they_are() -> None:
    assert search(without_page_headers([b"needle", b"\0" * 9000]), [b"needle"]).occurrences == 1
