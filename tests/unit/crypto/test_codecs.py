"""Each type: its stored bytes, its edge values, and what it refuses.

The expected bytes are written by hand from docs/explanation/format.md.
"""

# ruff: noqa: DTZ001, DTZ901  # naive datetimes are among the values

from __future__ import annotations

import decimal
import enum
import math
import struct
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from vaultdb.crypto.codec import codec_for
from vaultdb.errors import ConfigurationError, DecryptionError, ValueRefused


class Sex(enum.Enum):
    FEMALE = "f"
    MALE = "m"
    WOMAN = "f"  # noqa: PIE796  # an alias


class Level(enum.IntEnum):
    LOW = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Empty(enum.Enum):
    pass


class NoOffset(tzinfo):
    def utcoffset(self, _):
        return None


CEST = timezone(timedelta(hours=2))
UNEVEN = timezone(timedelta(microseconds=1))
FAR = timezone(-timedelta(hours=23, minutes=59, seconds=59))

ENCODED = [
    (str, "", ""),
    (str, "Aé漢😀", "41c3a9e6bca2f09f9880"),
    (bytes, b"\x00\xff", "00ff"),
    (int, 0, "0000000000000000"),
    (int, -1, "ffffffffffffffff"),
    (int, 2**63 - 1, "7fffffffffffffff"),
    (int, -(2**63), "8000000000000000"),
    (bool, False, "00"),
    (bool, True, "01"),
    (float, 0.0, "0000000000000000"),
    (float, -0.0, "8000000000000000"),
    (float, 1.5, "3ff8000000000000"),
    (float, math.inf, "7ff0000000000000"),
    (float, -math.inf, "fff0000000000000"),
    (float, 5e-324, "0000000000000001"),
    (Decimal, Decimal("1.10"), b"1.10".hex()),
    (Decimal, Decimal("-0.0"), b"-0.0".hex()),
    (Decimal, Decimal("1E+3"), b"1E+3".hex()),
    (Decimal, Decimal("-12345678901234567890.5"), b"-12345678901234567890.5".hex()),
    (Decimal, Decimal("Infinity"), b"Infinity".hex()),
    (Decimal, Decimal("-Infinity"), b"-Infinity".hex()),
    (date, date(2000, 1, 1), "00000000"),
    (date, date.min, "fff4dbf9"),
    (date, date.max, "002c95d3"),
    (datetime, datetime(2000, 1, 1, 0, 0, 1), "00" + "00000000000f4240" + "00000000"),
    (datetime, datetime(2000, 1, 1, tzinfo=UTC), "01" + "00" * 8 + "00000000"),
    (datetime, datetime(2000, 1, 1, tzinfo=CEST), "01" + "00" * 8 + "00001c20"),
    (datetime, datetime(1999, 12, 31, 23, 59, 59, 999999, fold=1), "02" + "ff" * 8 + "00000000"),
    (time, time(0, 0, 1), "00" + "00000000000f4240" + "00000000"),
    (time, time(0, 0, tzinfo=CEST), "01" + "00" * 8 + "00001c20"),
    (timedelta, timedelta(0), "00" * 12),
    (timedelta, timedelta(microseconds=-1), "ffffffff" + "0001517f" + "000f423f"),
    (timedelta, timedelta.max, "3b9ac9ff" + "0001517f" + "000f423f"),
    (UUID, UUID("00112233-4455-6677-8899-aabbccddeeff"), "00112233445566778899aabbccddeeff"),
    (Sex, Sex.FEMALE, b"FEMALE".hex()),
    (Level, Level.LOW, b"LOW".hex()),
    (dict, {"a": "é", "b": [1, 2.0, None]}, '{"a":"é","b":[1,2.0,null]}'.encode().hex()),
    (list, [], b"[]".hex()),
    (dict[str, int], {}, b"{}".hex()),
    (list[str], ['\n\\"'], b'["\\n\\\\\\""]'.hex()),
]


@pytest.mark.parametrize(("python_type", "value", "expected"), ENCODED)
def test_a_value_has_the_bytes_of_the_format_page_and_comes_back(python_type, value, expected):
    codec = codec_for(python_type)
    payload = codec.encode(value)
    assert payload.hex() == expected
    decoded = codec.decode(payload, codec.version)
    assert decoded == value
    assert type(decoded) is type(value)
    assert repr(decoded) == repr(value)


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
@pytest.mark.parametrize("zone", [None, UTC, FAR, timezone(timedelta(hours=14))])
def test_the_ends_of_the_calendar_come_back_in_every_zone(moment, zone):
    codec = codec_for(datetime)
    decoded = codec.decode(codec.encode(moment.replace(tzinfo=zone)), 1)
    assert decoded.replace(tzinfo=None) == moment
    assert decoded.utcoffset() == (zone.utcoffset(None) if zone else None)


def test_a_named_zone_comes_back_as_its_offset_and_instant():
    codec = codec_for(datetime)
    second_two_thirty = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    decoded = codec.decode(codec.encode(second_two_thirty), 1)
    assert decoded.utcoffset() == timedelta(hours=1)
    assert decoded.timestamp() == second_two_thirty.timestamp()
    assert decoded.fold == 1


def test_every_nan_is_stored_as_one():
    codec = codec_for(float)
    quiet_negative = struct.unpack(">d", bytes.fromhex("fff8000000000001"))[0]
    assert codec.encode(quiet_negative) == codec.encode(math.nan)
    assert codec.encode(math.nan).hex() == "7ff8000000000000"
    assert math.isnan(codec.decode(codec.encode(math.nan), 1))
    assert str(codec_for(Decimal).decode(codec_for(Decimal).encode(Decimal("NaN")), 1)) == "NaN"


def test_a_decimal_does_not_depend_on_the_context():
    codec = codec_for(Decimal)
    exact = Decimal("1.2345678901234567890123456789012345E+40")
    with decimal.localcontext(decimal.Context(prec=3, capitals=0, traps=[])):
        assert codec.encode(exact) == b"1.2345678901234567890123456789012345E+40"
        assert codec.decode(codec.encode(exact), 1).as_tuple() == exact.as_tuple()
        assert codec.canonical(exact) == b"12345678901234567890123456789012345E6"


@pytest.mark.parametrize(
    ("python_type", "value", "stored"),
    [
        (float, 3, 3.0),
        (Decimal, 3, Decimal(3)),
        (Decimal, 10**30, Decimal(10**30)),
        (int, Level.LOW, 1),
        (bytes, bytearray(b"a"), b"a"),
        (bytes, memoryview(b"a"), b"a"),
        (dict, OrderedDict(a=1), {"a": 1}),
        (dict, {"level": Level.LOW}, {"level": 1}),
    ],
)
def test_what_fits_exactly_is_taken(python_type, value, stored):
    codec = codec_for(python_type)
    decoded = codec.decode(codec.encode(value), 1)
    assert decoded == stored
    assert type(decoded) is type(stored)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


CIRCULAR = []
CIRCULAR.append(CIRCULAR)

REFUSED = [
    (str, "xyz\0zyx"),
    (str, "xyz\ud800zyx"),
    (str, b"secret"),
    (str, 5017),
    (bytes, "secret"),
    (bytes, [5017]),
    (int, 2**63),
    (int, -(2**63) - 1),
    (int, True),
    (int, "5017"),
    (int, 5017.0),
    (float, "5017"),
    (float, True),
    (float, 2**53 + 1),
    (float, 10**400),
    (float, Decimal(5017)),
    (bool, 1),
    (bool, "True"),
    (Decimal, 50.17),
    (Decimal, "5017"),
    (Decimal, True),
    (Decimal, Decimal("sNaN")),
    (Decimal, Decimal("-NaN")),
    (Decimal, Decimal("NaN5017")),
    (date, datetime(2000, 1, 1)),
    (date, "2000-01-01"),
    (datetime, date(2000, 1, 1)),
    (datetime, datetime(2000, 1, 1, tzinfo=NoOffset())),
    (datetime, datetime(2000, 1, 1, tzinfo=UNEVEN)),
    (time, time(5, 17, tzinfo=ZoneInfo("Europe/Berlin"))),
    (time, datetime(2000, 1, 1)),
    (timedelta, 5017),
    (UUID, "00112233-4455-6677-8899-aabbccddeeff"),
    (Sex, "FEMALE"),
    (Sex, Level.LOW),
    (dict, []),
    (list, {}),
    (list, (1, 2)),
    (dict, {5017: 1}),
    (dict, {"a": (1, 2)}),
    (dict, {"a": {1, 2}}),
    (dict, {"a": math.nan}),
    (dict, {"a": -math.inf}),
    (dict, {"a": 2**63}),
    (dict, {"a": "xyz\0zyx"}),
    (dict, {"xyz\0zyx": 1}),
    (dict, {"a": "xyz\ud800zyx"}),
    (dict, {"a": b"secret"}),
    (dict, {"a": Decimal(1)}),
    (list, nested(101)),
    (list, nested(5000)),
    (list, CIRCULAR),
] + [(t, None) for t in (str, bytes, int, float, bool, Decimal, date, datetime, dict, list, Sex)]


@pytest.mark.parametrize(("python_type", "value"), REFUSED)
def test_what_would_not_come_back_the_same_is_refused_without_showing_it(python_type, value):
    for encode in (codec_for(python_type).encode, codec_for(python_type).canonical):
        with pytest.raises(ValueRefused) as caught:
            encode(value)
        error = caught.value
        assert error.__cause__ is error.__context__ is None
        for secret in ("xyz", "zyx", "5017", "2000"):
            assert secret not in repr(error)


def test_a_hundred_levels_of_json_are_fine():
    codec = codec_for(list)
    assert codec.decode(codec.encode(nested(99)), 1) == nested(99)


@pytest.mark.parametrize(
    ("python_type", "payload"),
    [
        (str, b"\xff"),
        (int, bytes(7)),
        (int, bytes(9)),
        (float, bytes(7)),
        (bool, b""),
        (bool, b"\x02"),
        (bool, b"\x00\x00"),
        (Decimal, b""),
        (Decimal, b"sNaN"),
        (Decimal, b" 1"),
        (Decimal, b"1_000"),
        (Decimal, "\uff11".encode()),
        (date, bytes(3)),
        (date, b"\x7f\xff\xff\xff"),
        (datetime, bytes(12)),
        (datetime, b"\x04" + bytes(12)),
        (datetime, b"\x00" + bytes(11) + b"\x01"),
        (datetime, b"\x01" + bytes(8) + b"\x7f\xff\xff\xff"),
        (datetime, b"\x00\x7f" + bytes(11)),
        (time, b"\x00" + b"\xff" * 8 + bytes(4)),
        (time, b"\x00" + (86_400_000_000).to_bytes(8, "big") + bytes(4)),
        (time, b"\x04" + bytes(12)),
        (timedelta, bytes(11)),
        (timedelta, bytes(4) + b"\x00\x01\x51\x80" + bytes(4)),
        (timedelta, bytes(8) + b"\x00\x0f\x42\x40"),
        (timedelta, b"\x7f" + bytes(11)),
        (UUID, bytes(15)),
        (Sex, b"OTHER"),
        (Sex, b"\xff"),
        (dict, b"[]"),
        (list, b"{}"),
        (dict, b"{"),
        (dict, b'{"a":NaN}'),
        (dict, '{"a":1}'.encode("utf-16")),
        (list, b"[" * 100_000),
    ],
)
def test_an_authentic_payload_of_another_make_is_the_one_error(python_type, payload):
    with pytest.raises(DecryptionError) as caught:
        codec_for(python_type).decode(payload, 1)
    assert caught.value.reason == "bad payload"
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("python_type", {t: None for t, _, _ in ENCODED if isinstance(t, type)})
@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_version_that_was_never_written_is_not_read(python_type, version):
    codec = codec_for(python_type)
    value = next(value for t, value, _ in ENCODED if t == python_type)
    with pytest.raises(DecryptionError):
        codec.decode(codec.encode(value), version)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (Decimal("1.1"), Decimal("1.10"), True),
        (Decimal(0), Decimal("-0E+9"), True),
        (Decimal(100), Decimal("1E+2"), True),
        (Decimal("0.001"), Decimal("1E-3"), True),
        (Decimal(1), Decimal(10), False),
        (Decimal(1), Decimal(-1), False),
        (Decimal("NaN"), Decimal("NaN"), True),
        (Decimal("Infinity"), Decimal("-Infinity"), False),
        (0.0, -0.0, True),
        (math.nan, -math.nan, True),
        (datetime(2000, 1, 1, 2, tzinfo=CEST), datetime(2000, 1, 1, tzinfo=UTC), True),
        (datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1), False),
        (datetime(2000, 1, 1), datetime(2000, 1, 1, fold=1), True),
        (time(2, tzinfo=CEST), time(0, tzinfo=UTC), True),
        (time(2), time(0, tzinfo=UTC), False),
        (Sex.FEMALE, Sex.WOMAN, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}, True),
        ({"a": [1e300, -0.0]}, {"a": [1e300, 0]}, True),
        ({"a": 1}, {"a": True}, False),
        ("a", "A", False),
    ],
)
def test_canonical_bytes_follow_equality(left, right, equal):
    codec = codec_for(type(left))
    assert (codec.canonical(left) == codec.canonical(right)) is equal


@pytest.mark.parametrize(
    "python_type",
    [object, complex, set, tuple, type(None), str | None, "str", Rights, Empty, lambda: 0, [str]],
)
def test_a_type_without_a_codec_is_refused_at_declaration(python_type):
    with pytest.raises(ConfigurationError):
        codec_for(python_type)


def test_type_tags_are_fixed_for_ever():
    """They are associated data: a changed tag makes every stored value of the type unreadable."""
    tags = {t: codec_for(t).type_tag for t, _, _ in ENCODED if isinstance(t, type)}
    assert {getattr(t, "__name__", t): tag for t, tag in tags.items()} == {
        "str": "str",
        "bytes": "bytes",
        "int": "int",
        "float": "float",
        "bool": "bool",
        "Decimal": "decimal",
        "date": "date",
        "datetime": "datetime",
        "time": "time",
        "timedelta": "timedelta",
        "UUID": "uuid",
        "Sex": "enum",
        "Level": "enum",
        "dict": "json",
        "list": "json",
    }
