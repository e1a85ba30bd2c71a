"""pydantic models and dataclasses: read back at once, so that nothing is lost in silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from vaultdb.crypto.codec import codec_for
from vaultdb.errors import ConfigurationError, DecryptionError, ValueRefused


class Address(BaseModel):
    street: str
    city: str = Field(alias="town")
    model_config = ConfigDict(populate_by_name=True)


class Strict(BaseModel):
    born: date
    fee: Decimal
    model_config = ConfigDict(strict=True)


class Card(BaseModel):
    number: SecretStr


class Forgetful(BaseModel):
    kept: str
    dropped: str = Field(default="", exclude=True)


@dataclass
class Visit:
    day: date
    address: Address
    notes: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Identity:
    name: str


@dataclass
class Loose:
    anything: Any


@dataclass
class Numbered:
    number: int


HOME = Address(street="Main St 5017", city="Köln")


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (HOME, '{"city":"Köln","street":"Main St 5017"}'),
        (Strict(born=date(1990, 1, 2), fee=Decimal("1.10")), '{"born":"1990-01-02","fee":"1.10"}'),
        (
            Visit(date(2026, 11, 22), HOME, ["a"]),
            '{"address":{"city":"Köln","street":"Main St 5017"},"day":"2026-11-22","notes":["a"]}',
        ),
        (Loose({"a": [1, None]}), '{"anything":{"a":[1,null]}}'),
    ],
)
def test_an_object_is_stored_as_canonical_json_of_its_fields_by_name(value, payload):
    codec = codec_for(type(value))
    assert codec.type_tag == "object"
    assert codec.default_pad == 16
    assert codec.encode(value).decode() == payload
    assert codec.decode(payload.encode(), 1) == value


@pytest.mark.parametrize(
    ("python_type", "value"),
    [
        (Address, {"street": "Main St 5017", "city": "Köln"}),
        (Address, None),
        (Card, Card(number=SecretStr("5017"))),
        (Forgetful, Forgetful(kept="a", dropped="5017")),
        (Numbered, Numbered("5017")),
        (Numbered, Numbered(5017 * 2**64)),
        (Loose, Loose((5017,))),
        (Loose, Loose(b"\xff5017")),
        (Loose, Loose(object())),
        (Loose, Loose("5017\0")),
        (Loose, Loose(float("nan"))),
    ],
)
def test_what_would_come_back_different_is_refused_without_showing_it(python_type, value):
    with pytest.raises(ValueRefused) as caught:  # warnings, too, are errors here
        codec_for(python_type).encode(value)
    assert "5017" not in repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"day":"5017"}', b"\xff"])
def test_a_payload_that_does_not_validate_is_the_one_error(payload):
    with pytest.raises(DecryptionError) as caught:
        codec_for(Visit).decode(payload, 1)
    assert caught.value.reason == "bad payload"
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_objects_have_no_blind_index():
    with pytest.raises(ConfigurationError, match="scalar"):
        codec_for(Address).canonical(HOME)


def test_a_dataclass_without_equality_is_refused_at_declaration():
    with pytest.raises(ConfigurationError, match="eq=True"):
        codec_for(Identity)


def test_a_field_that_pydantic_cannot_describe_is_refused_at_declaration():
    @dataclass
    class Opaque:
        handle: memoryview

    Opaque.__annotations__["handle"] = memoryview
    with pytest.raises(ConfigurationError, match="pydantic cannot describe"):
        codec_for(Opaque)


@dataclass
class Early:
    late: Late  # noqa: F821  # defined by the test below


def test_a_field_of_a_type_that_is_defined_later_is_taken_then():
    codec = codec_for(Early)
    with pytest.raises(ConfigurationError, match="not defined"):
        codec.encode(Early(1))
    globals()["Late"] = int
    assert codec.decode(codec.encode(Early(1)), 1) == Early(1)
