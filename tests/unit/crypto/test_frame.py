from __future__ import annotations

import pickle

import pytest

from vaultdb.crypto.codec import codec_for
from vaultdb.crypto.frame import build_frame, open_frame
from vaultdb.crypto.framed_codec import FramedCodec
from vaultdb.errors import ConfigurationError, DecryptionError, ValueRefused


def test_a_bare_frame_is_flags_version_and_payload():
    assert build_frame(b"abc", 1, pad=None) == b"\x00\x01abc"
    assert build_frame(b"", 9, pad=None, canary=True) == b"\x01\x09"


@pytest.mark.parametrize(
    ("payload", "padded"),
    [
        (b"", b"\x80" + bytes(15)),
        (b"abc", b"abc\x80" + bytes(12)),
        (b"x" * 15, b"x" * 15 + b"\x80"),
        (b"x" * 16, b"x" * 16 + b"\x80" + bytes(15)),
        (b"\x80\x00", b"\x80\x00\x80" + bytes(13)),
    ],
)
def test_a_padded_payload_ends_in_a_marker_and_zeros(payload, padded):
    frame = build_frame(payload, 1, pad=16)
    assert frame == b"\x02\x01" + padded
    assert open_frame(frame).payload == payload


def test_a_canary_is_told_on_opening():
    assert open_frame(build_frame(b"", 1, pad=None, canary=True)).canary
    assert open_frame(build_frame(b"", 1, pad=8, canary=True)).canary
    assert not open_frame(build_frame(b"", 1, pad=8)).canary


@pytest.mark.parametrize(
    "frame",
    [b"", b"\x00", b"\x04\x01", b"\x80\x01", b"\x02\x01", b"\x02\x01" + bytes(16), b"\x02\x01ab\0"],
)
def test_a_frame_of_another_make_is_an_error(frame):
    with pytest.raises(DecryptionError) as caught:
        open_frame(frame)
    assert caught.value.reason == "bad frame"
    with pytest.raises(DecryptionError):
        FramedCodec(codec_for(bytes), None).decode(frame)


def test_a_column_reads_values_that_were_padded_otherwise():
    bare, padded = FramedCodec(codec_for(str), None), FramedCodec(codec_for(str), 64)
    assert bare.decode(padded.encode("Ada")) == padded.decode(bare.encode("Ada")) == "Ada"
    assert bare.decode(build_frame(b"Ada", 1, pad=5, canary=True)) == "Ada"


def test_a_later_codec_version_is_not_guessed_at():
    with pytest.raises(DecryptionError) as caught:
        FramedCodec(codec_for(str), None).decode(build_frame(b"Ada", 2, pad=None))
    assert caught.value.reason == "bad payload"


@pytest.mark.parametrize("pad", [1, 0, -16, 4097])
def test_a_pad_out_of_range_is_refused_at_declaration(pad):
    with pytest.raises(ConfigurationError, match="pad"):
        FramedCodec(codec_for(str), pad)


def test_a_mebibyte_fits_and_a_byte_more_is_refused():
    framed = FramedCodec(codec_for(bytes), 4096)
    largest = bytes(1 << 20)
    assert framed.decode(framed.encode(largest)) == largest
    assert len(framed.encode(largest)) + 58 < 1_100_000
    for encode in (framed.encode, lambda payload: build_frame(payload, 1, pad=None)):
        with pytest.raises(ValueRefused, match="1 MiB"):
            encode(largest + b"\0")


@pytest.mark.parametrize("pad", [None, 16])
def test_many_values_are_framed_as_one_by_one(pad):
    framed = FramedCodec(codec_for(str), pad)
    values = ["x" * size for size in range(40)]
    assert framed.encode_all(values) == [framed.encode(value) for value in values]
    assert framed.encode_all([]) == []
    with pytest.raises(ValueRefused, match="1 MiB"):
        framed.encode_all(["a", "x" * ((1 << 20) + 1)])
    with pytest.raises(ValueRefused, match="a str"):
        framed.encode_all(["a", None])


def test_default_padding_hides_short_secrets():
    # docs/explanation/format.md, Payloads: Enum and Decimal to 32, str and JSON to multiples of 16.
    pads = {t.__name__: codec_for(t).default_pad for t in (str, dict, list, bytes, int, bool)}
    assert pads == {"str": 16, "dict": 16, "list": 16, "bytes": None, "int": None, "bool": None}
    framed = FramedCodec(codec_for(str), 16)
    assert {len(framed.encode("x" * size)) for size in range(16)} == {18}


def test_a_framed_codec_survives_pickling_and_a_frame_does_not_print():
    copy = pickle.loads(pickle.dumps(FramedCodec(codec_for(str), 16)))
    assert copy.decode(copy.encode("Ada")) == "Ada"
    assert "Ada" not in repr(open_frame(copy.encode("Ada")))
