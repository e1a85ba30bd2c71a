from __future__ import annotations

import pytest

from vaultdb.crypto.envelope import check_envelope, header_of, key_id_of
from vaultdb.errors import DecryptionError

SHORTEST = b"\xf6\x01" + bytes(58)


def test_the_key_id_stands_after_magic_and_suite():
    assert key_id_of(header_of(bytes(range(16))) + bytes(42)) == bytes(range(16))


def test_buffers_count_as_bytes():
    assert check_envelope(memoryview(SHORTEST)) == SHORTEST
    assert check_envelope(bytearray(SHORTEST)) == SHORTEST


@pytest.mark.parametrize(
    ("bytes_", "reason"),
    [
        (None, "malformed"),
        ("text", "malformed"),
        (SHORTEST.hex(), "malformed"),
        (SHORTEST.hex().encode(), "malformed"),
        (b"", "malformed"),
        (SHORTEST[:-1], "malformed"),
        (b"\xf6\x01" + bytes(1_100_000 - 1), "malformed"),
        (b"\xf5" + SHORTEST[1:], "malformed"),
        (b"\xf6\x00" + SHORTEST[2:], "suite"),
        (b"\xf6\x02" + SHORTEST[2:], "suite"),
        (b"\xf6\xff" + SHORTEST[2:], "suite"),
    ],
)
def test_what_is_no_envelope_is_an_error_and_never_passed_through(bytes_, reason):
    with pytest.raises(DecryptionError) as caught:
        key_id_of(bytes_)
    assert caught.value.reason == reason


def test_a_header_needs_a_whole_key_id():
    with pytest.raises(ValueError, match="16 bytes"):
        header_of(b"short")
