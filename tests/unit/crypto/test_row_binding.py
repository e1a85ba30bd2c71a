"""Expected bytes: PostgreSQL's int8send, uuid_send, textsend, byteasend and date_send."""

from __future__ import annotations

from datetime import date, datetime
from enum import IntEnum
from uuid import UUID

import pytest

from vaultdb.crypto.row_binding import COLUMN_ONLY, KeyTag, encode_key_part, row_binding
from vaultdb.errors import ConfigurationError, ValueRefused

SOME_UUID = UUID("00112233-4455-6677-8899-aabbccddeeff")


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        (KeyTag.INTEGER, 1, "0000000000000001"),
        (KeyTag.INTEGER, IntEnum("Level", {"LOW": 3}).LOW, "0000000000000003"),
        (KeyTag.INTEGER, -2, "fffffffffffffffe"),
        (KeyTag.INTEGER, -(2**63), "8000000000000000"),
        (KeyTag.UUID, SOME_UUID, "00112233445566778899aabbccddeeff"),
        (KeyTag.TEXT, "Aé", "41c3a9"),
        (KeyTag.TEXT, "", ""),
        (KeyTag.BYTES, b"\x00\xff", "00ff"),
        (KeyTag.BYTES, memoryview(b"\x01"), "01"),
        (KeyTag.DATE, date(2000, 1, 1), "00000000"),
        (KeyTag.DATE, date(1999, 12, 31), "ffffffff"),
        (KeyTag.DATE, date(2026, 11, 22), "0000265e"),  # select date_send('2026-11-22')
    ],
)
def test_a_key_part_is_what_postgresql_sends(tag, value, expected):
    assert encode_key_part(tag, value).hex() == expected


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (KeyTag.INTEGER, True),
        (KeyTag.INTEGER, "1"),
        (KeyTag.INTEGER, 2**63),
        (KeyTag.INTEGER, None),
        (KeyTag.UUID, str(SOME_UUID)),
        (KeyTag.TEXT, b"a"),
        (KeyTag.TEXT, "a\0"),
        (KeyTag.TEXT, "\ud800"),
        (KeyTag.BYTES, "a"),
        (KeyTag.DATE, datetime(2000, 1, 1)),  # noqa: DTZ001
    ],
)
def test_a_key_of_another_type_is_refused_without_its_value(tag, value):
    with pytest.raises(ValueRefused) as caught:
        encode_key_part(tag, value)
    assert repr(value) not in str(caught.value)


def test_a_binding_is_count_then_tag_length_and_bytes_of_each_part():
    parts = [(KeyTag.INTEGER, b"\0" * 7 + b"\1"), (KeyTag.TEXT, b"ab")]
    assert row_binding(parts).hex() == "02" + "0100000008" + "00" * 7 + "01" + "0300000002" + "6162"


def test_keys_that_print_alike_bind_differently():
    def bind(*parts):
        return row_binding([(tag, encode_key_part(tag, value)) for tag, value in parts])

    bindings = {
        bind((KeyTag.TEXT, "ab"), (KeyTag.TEXT, "c")),
        bind((KeyTag.TEXT, "a"), (KeyTag.TEXT, "bc")),
        bind((KeyTag.TEXT, "abc")),
        bind((KeyTag.BYTES, b"abc")),
        bind((KeyTag.INTEGER, 1), (KeyTag.INTEGER, 23)),
        bind((KeyTag.INTEGER, 12), (KeyTag.INTEGER, 3)),
        bind((KeyTag.INTEGER, 1)),
        bind((KeyTag.TEXT, "1")),
        bind((KeyTag.DATE, date(2000, 1, 2))),
        COLUMN_ONLY,
    }
    assert len(bindings) == 10


@pytest.mark.parametrize("count", [0, 33])
def test_a_key_without_columns_or_beyond_postgresql_is_refused(count):
    with pytest.raises(ConfigurationError, match="bind='column'"):
        row_binding([(KeyTag.INTEGER, bytes(8))] * count)
