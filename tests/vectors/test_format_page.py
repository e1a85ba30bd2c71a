"""docs/explanation/format.md: its numbers are the code's, its bytes are real."""

from __future__ import annotations

import json
import re
from pathlib import Path
from uuid import UUID

import pytest

from tests.vectors import second
from vaultdb.crypto import limits, normalise, reason
from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.codec import _BUILT_IN
from vaultdb.crypto.codecs.enums import EnumCodec
from vaultdb.crypto.codecs.structured import StructuredCodec
from vaultdb.crypto.value_cipher import ValueCipher

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/format.md").read_text(encoding="utf-8")
CORPUS = json.loads((ROOT / "tests/vectors/golden/v1.json").read_text(encoding="utf-8"))
EXAMPLE, INDEX_EXAMPLE = CORPUS["values"][0], CORPUS["index_values"][0]
BLOCKS = {
    name: bytes.fromhex(body)
    for name, body in re.findall(r"^```hex ([\w ]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}
REALM = UUID(re.search(r"realm `([0-9a-f-]{36})`", PAGE)[1])
PLACE = second.Place(REALM, "", "clinic.patient.golden_000", "str", BLOCKS["row"])


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def rows(text):
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in text.splitlines()
        if line.startswith("| ") and "`" in line
    ]


def test_every_number_of_the_limits_table_is_the_codes():
    table = {name.strip("`"): int(value) for name, value, *_ in rows(section("Limits"))}
    assert {name: getattr(limits, name) for name in table} == table
    assert len(table) == 17


def test_every_type_is_in_the_payload_table_with_its_tag_and_pad():
    listed = {
        (tag.strip("`"), None if pad == "none" else int(pad))
        for _, tag, pad, _ in rows(section("Payloads").split("*Kind*")[0])
    }
    codecs = [*_BUILT_IN.values(), EnumCodec, StructuredCodec]
    assert {(codec.type_tag, codec.default_pad) for codec in codecs} == listed


def test_every_normaliser_is_in_the_table():
    listed = {name.strip("`") for name, *_ in rows(section("The blind-index value"))}
    assert listed >= {normalise.normaliser(name).identifier for name in normalise._STEPS}


def test_the_examples_bytes_are_the_golden_corpus():
    assert BLOCKS["dek"].hex() == CORPUS["dek"]
    assert BLOCKS["envelope"].hex() == EXAMPLE["envelope"]
    assert BLOCKS["row"].hex() == EXAMPLE["row"]
    assert (str(REALM), EXAMPLE["tenant"]) == (CORPUS["realm"], "")
    assert BLOCKS["index dek"].hex() == CORPUS["index_dek"]
    assert BLOCKS["index value"].hex() == INDEX_EXAMPLE["index_value"]


def test_the_examples_envelope_decrypts_to_its_frame_by_both():
    envelope = BLOCKS["envelope"]
    assert second.unseal(BLOCKS["dek"], PLACE, envelope) == BLOCKS["frame"]
    cipher = ValueCipher(BLOCKS["dek"], realm=REALM, tenant="")
    column = ColumnIdentity(PLACE.logical_name, PLACE.type_tag)
    assert cipher.decrypt(column, envelope, PLACE.row) == BLOCKS["frame"]
    assert second.unframe(BLOCKS["frame"]) == (2, 1, b"999-17-5017")


def test_the_examples_steps_lead_to_its_envelope():
    envelope = BLOCKS["envelope"]
    assert PLACE.associated_data(envelope[:18]) == BLOCKS["associated data"]
    assert second.subkey(BLOCKS["dek"], envelope[18:30]) == BLOCKS["subkey"]
    assert second.seal(BLOCKS["dek"], PLACE, BLOCKS["frame"], envelope[18:42]) == envelope


@pytest.mark.parametrize("path", re.findall(r"\]\((\.\.[^)#]+)", PAGE))
def test_links_lead_somewhere(path):
    assert (ROOT / "docs/explanation" / path).exists()


def test_no_reason_is_ever_part_of_the_text():
    from vaultdb.errors import DecryptionError

    assert {str(DecryptionError(code)) for code in reason.Reason} == {
        "the stored value cannot be decrypted"
    }
