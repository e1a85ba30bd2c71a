"""Every value ever written decrypts for ever: with vaultdb, and with the second implementation."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from tests.vectors import second, second_codecs
from tests.vectors.golden.literals import READERS, TYPES
from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.blind_index import BlindIndex, index_message
from vaultdb.crypto.codec import codec_for
from vaultdb.crypto.frame import open_frame
from vaultdb.crypto.framed_codec import FramedCodec
from vaultdb.crypto.normalise import normaliser
from vaultdb.crypto.row_binding import KeyTag, encode_key_part, row_binding
from vaultdb.crypto.value_cipher import ValueCipher

GOLDEN = Path(__file__).parent / "golden"
CORPUS = json.loads((GOLDEN / "v1.json").read_text(encoding="utf-8"))
SHA256 = "66fbc6dbf947eb2dba787542168e1c32fb0cba3d324ee27fc20a2f7c9b9fb5e0"

DEK, INDEX_DEK = bytes.fromhex(CORPUS["dek"]), bytes.fromhex(CORPUS["index_dek"])
REALM = UUID(CORPUS["realm"])
VALUES = pytest.mark.parametrize("entry", CORPUS["values"], ids=lambda entry: entry["logical_name"])
INDEX_VALUES = pytest.mark.parametrize(
    "entry",
    CORPUS["index_values"],
    ids=[f"{number}-{entry['type']}" for number, entry in enumerate(CORPUS["index_values"])],
)
KEY_READERS = {1: int, 2: UUID, 3: str, 4: bytes.fromhex, 5: READERS["date"]}


def same(left, right):
    """Equal, also in what == does not see: a sign, an exponent, an offset, a fold."""
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    if isinstance(left, Decimal):
        return left.as_tuple() == right.as_tuple()
    if isinstance(left, datetime | time):
        return (left, left.utcoffset(), left.fold) == (right, right.utcoffset(), right.fold)
    if isinstance(left, dict):  # the order of keys is not kept
        return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    return type(left) is type(right) and left == right and repr(left) == repr(right)


def test_the_corpus_is_the_one_that_was_committed():
    assert hashlib.sha256((GOLDEN / "v1.json").read_bytes()).hexdigest() == SHA256


def test_the_corpus_cannot_be_generated_again():
    command = [sys.executable, "-m", "tests.vectors.golden.generate_v1"]
    root = GOLDEN.parents[2]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "never written again" in run.stderr


def test_the_corpus_has_every_type_and_every_kind_of_key():
    assert {entry["type"] for entry in CORPUS["values"]} == set(TYPES)
    tags = {tag for entry in CORPUS["values"] for tag, _ in entry["key"]}
    assert tags == set(KeyTag)
    assert any(not entry["key"] for entry in CORPUS["values"])
    assert {entry["tenant"] for entry in CORPUS["values"]} >= {"", "acme"}


@VALUES
def test_vaultdb_reads_the_value(entry):
    cipher = ValueCipher(DEK, realm=REALM, tenant=entry["tenant"])
    column = ColumnIdentity(entry["logical_name"], entry["type_tag"])
    parts = [
        (KeyTag(tag), encode_key_part(KeyTag(tag), KEY_READERS[tag](text)))
        for tag, text in entry["key"]
    ]
    row = row_binding(parts) if parts else b""
    assert row.hex() == entry["row"]
    codec = codec_for(TYPES[entry["type"]])
    assert codec.type_tag == entry["type_tag"]
    for _ in range(2):  # first with the subkey still to derive
        frame = cipher.decrypt(column, bytes.fromhex(entry["envelope"]), row)
        assert open_frame(frame).canary is entry["canary"]
        value = FramedCodec(codec, None).decode(frame)
        assert same(value, READERS[entry["type"]](entry["value"]))


@VALUES
def test_the_second_implementation_reads_the_value(entry):
    place = second.Place(
        REALM,
        entry["tenant"],
        entry["logical_name"],
        entry["type_tag"],
        bytes.fromhex(entry["row"]),
    )
    frame = second.unseal(DEK, place, bytes.fromhex(entry["envelope"]))
    flags, version, payload = second.unframe(frame)
    assert version == 1
    assert bool(flags & 1) is entry["canary"]
    value = second_codecs.DECODERS[entry["type_tag"]](payload)
    if entry["type_tag"] in ("enum", "object"):  # it knows no classes: name and fields
        assert value == entry["value"]
    else:
        assert same(value, READERS[entry["type"]](entry["value"]))


@INDEX_VALUES
def test_both_compute_the_index_value(entry):
    value, steps = READERS[entry["type"]](entry["value"]), normaliser(entry["normaliser"])
    codec = codec_for(TYPES[entry["type"]])
    canonical = codec.canonical(steps(value) if isinstance(value, str) else value)
    assert canonical.hex() == entry["canonical"]
    assert steps.identifier == entry["normaliser_id"]
    index = BlindIndex(INDEX_DEK, realm=REALM, tenant=entry["tenant"])
    message = index_message(codec.type_tag, steps.identifier, canonical)
    names = {
        name: entry[name] for name in ("tenant", "domain", "kind", "type_tag", "normaliser_id")
    }
    assert index.digest(entry["domain"], entry["kind"], message).hex() == entry["index_value"]
    theirs = second.index_value(INDEX_DEK, realm=REALM, canonical=canonical, **names)
    assert theirs.hex() == entry["index_value"]
