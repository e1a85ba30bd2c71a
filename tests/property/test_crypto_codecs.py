"""Every type comes back as it went in, and the second implementation writes the same bytes."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.vectors import second_codecs
from vaultdb.crypto.codec import codec_for
from vaultdb.crypto.framed_codec import FramedCodec
from vaultdb.errors import DecryptionError

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
OFFSETS = st.one_of(
    st.none(), st.integers(-86_399, 86_399).map(lambda s: timezone(timedelta(seconds=s)))
)
FOLDS = st.sampled_from([0, 1])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
DECIMALS = st.one_of(
    st.decimals(allow_nan=False),
    st.builds(
        lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
        st.sampled_from([0, 1]),
        st.lists(st.integers(0, 9), max_size=60).map(tuple),
        st.integers(-9_999, 9_999),
    ),
)


class Colour(enum.Enum):
    RED = "r"
    GRÜN = 2  # noqa: PLC2401
    BLUE = ("b", 3)


class Address(BaseModel):
    street: str
    number: int | None = None
    since: date


@dataclass
class Visit:
    at: datetime
    fee: Decimal
    notes: list[str]


ADDRESSES = st.builds(Address, street=TEXT, number=st.none() | INT64, since=st.dates())
VISITS = st.builds(
    Visit,
    at=st.datetimes(timezones=st.just(timezone(timedelta(hours=2)))),
    fee=st.decimals(allow_nan=False, allow_infinity=False, places=2),
    notes=st.lists(TEXT, max_size=3),
)

VALUES = {
    str: TEXT,
    bytes: st.binary(),
    int: INT64,
    float: st.floats(),
    bool: st.booleans(),
    Decimal: DECIMALS,
    date: st.dates(),
    datetime: st.builds(
        lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold),
        st.datetimes(),
        OFFSETS,
        FOLDS,
    ),
    time: st.builds(
        lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold),
        st.times(),
        OFFSETS,
        FOLDS,
    ),
    timedelta: st.timedeltas(),
    UUID: st.uuids(),
    Colour: st.sampled_from(Colour),
    dict: st.dictionaries(TEXT, DOCUMENTS, max_size=4),
    list: st.lists(DOCUMENTS, max_size=4),
}
OBJECTS = {Address: ADDRESSES, Visit: VISITS}


def same(left, right):
    """Equal, of one type, and equal in what == does not see."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left.hex() == right.hex() if left == left else math.isnan(right)  # noqa: PLR0124
    if isinstance(left, Decimal):
        return left.as_tuple() == right.as_tuple()
    if isinstance(left, datetime | time):
        return left == right and (left.utcoffset(), left.fold) == (right.utcoffset(), right.fold)
    return left == right


@pytest.mark.parametrize("python_type", [*VALUES, *OBJECTS])
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_every_value_comes_back_as_it_was(python_type, data):
    codec = codec_for(python_type)
    value = data.draw((VALUES | OBJECTS)[python_type])
    for pad in (None, codec.default_pad or 7):
        framed = FramedCodec(codec, pad)
        assert same(framed.decode(framed.encode(value)), value)


@pytest.mark.parametrize("python_type", list(VALUES))
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_the_second_implementation_writes_and_reads_the_same_payload(python_type, data):
    codec = codec_for(python_type)
    value = data.draw(VALUES[python_type])
    payload = codec.encode(value)
    assert payload == second_codecs.ENCODERS[codec.type_tag](value)
    decoded = second_codecs.DECODERS[codec.type_tag](payload)
    assert same(decoded, value.name if isinstance(value, Colour) else value)


@pytest.mark.parametrize(
    "python_type", [t for t in VALUES if t not in (dict, list)]
)  # True == 1 in Python, not in JSON
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_canonical_bytes_are_equal_exactly_when_the_values_are(python_type, data):
    codec = codec_for(python_type)
    left, right = data.draw(VALUES[python_type]), data.draw(VALUES[python_type])
    right = data.draw(st.sampled_from([left, right]))
    both_nan = left != left and right != right  # noqa: PLR0124
    assert (codec.canonical(left) == codec.canonical(right)) is (left == right or both_nan)


@pytest.mark.parametrize("python_type", [*VALUES, *OBJECTS])
@settings(deadline=None, max_examples=50)
@given(payload=st.binary(max_size=40), version=st.integers(0, 255))
def test_any_bytes_decode_to_a_value_or_to_the_one_error(python_type, payload, version):
    failure = None
    try:
        value = codec_for(python_type).decode(payload, version)
    except DecryptionError as error:
        failure = error
    if failure is None:
        assert version == 1
        assert isinstance(value, python_type)
    else:
        assert failure.reason == "bad payload"
        assert failure.__cause__ is failure.__context__ is None


@settings(deadline=None, max_examples=50)
@given(value=DOCUMENTS, data=st.data())
def test_json_does_not_depend_on_the_order_of_keys(value, data):
    codec = codec_for(dict)

    def shuffled(item):
        if isinstance(item, dict):
            keys = data.draw(st.permutations(list(item)))
            return {key: shuffled(item[key]) for key in keys}
        return [shuffled(part) for part in item] if isinstance(item, list) else item

    assert codec.encode({"a": value}) == codec.encode(shuffled({"a": value}))
