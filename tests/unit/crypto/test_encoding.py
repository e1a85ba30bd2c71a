from __future__ import annotations

import pytest

from vaultdb.crypto.encoding import canon


def test_a_list_is_its_count_and_each_part_after_its_length():
    # By hand from docs/explanation/format.md: u8 count, then u32be length and part.
    assert canon(b"ab", b"").hex() == "02" + "00000002" + "6162" + "00000000"
    assert canon() == b"\0"


def test_moving_a_byte_between_parts_changes_the_encoding():
    assert canon(b"ab", b"c") != canon(b"a", b"bc")
    assert canon(b"a", b"") != canon(b"", b"a")
    assert canon(b"a") != canon(b"a", b"")


def test_more_parts_than_the_count_can_say_are_refused():
    assert canon(*[b""] * 255)[0] == 255
    with pytest.raises(ValueError, match="255"):
        canon(*[b""] * 256)
