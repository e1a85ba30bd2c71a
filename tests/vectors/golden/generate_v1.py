"""Write the golden corpus of format v1.

######################################################################################
#  THIS SCRIPT HAS RUN ONCE AND IS NEVER RUN AGAIN.                                  #
#  v1.json stands for the values in users' databases. When a test fails on it, the   #
#  code is wrong, not the corpus. A new format gets a generator and a corpus of its  #
#  own beside this one. The script stays to show how v1.json came about; it refuses  #
#  to overwrite.                                                                     #
######################################################################################

Run as `python -m tests.vectors.golden.generate_v1` in the root of the checkout.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from uuid import UUID

from tests.vectors.golden.literals import LITERALS, READERS, TYPES
from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.blind_index import EQUALITY, BlindIndex, index_message
from vaultdb.crypto.codec import codec_for
from vaultdb.crypto.frame import build_frame
from vaultdb.crypto.nonce import nonce_tails
from vaultdb.crypto.normalise import normaliser
from vaultdb.crypto.row_binding import KeyTag, encode_key_part, row_binding
from vaultdb.crypto.value_cipher import ValueCipher

CORPUS = Path(__file__).with_name("v1.json")

DEK = bytes(range(32))
INDEX_DEK = bytes(range(32, 64))
REALM = UUID("6f1d0c1e-8a54-4c0b-9d0e-3b6a5f2c7e11")

ROWS = [
    [],
    [[1, "1"]],
    [[1, "-9223372036854775808"]],
    [[2, "01932c07-209b-7fe3-8a5f-0f1e2d3c4b5a"]],
    [[3, "Zoë 漢"]],
    [[3, ""]],
    [[4, "00ff"]],
    [[5, "2026-11-22"]],
    [[1, "7"], [3, "ab"], [3, "c"]],
    [[5, "1999-12-31"], [2, "00000000-0000-0000-0000-000000000000"], [4, ""]],
]
KEY_READERS = {1: int, 2: UUID, 3: str, 4: bytes.fromhex, 5: READERS["date"]}
TENANTS = ["", "acme", "клиника №1"]

INDEXED = [
    ("str", "exact", "999-17-5017"),
    ("str", "digits", "999-17-5017"),
    ("str", "nfc", "Zoe\u0308"),
    ("str", "casefold", "STRASSE Straße"),
    ("str", "strip+casefold", " Ada@Example.COM "),
    ("str", "exact", ""),
    *(
        (kind, "exact", literal)
        for kind, literal in LITERALS
        if kind not in ("str", "Address", "Visit")
    ),
]


def bind(parts):
    encoded = [
        (KeyTag(tag), encode_key_part(KeyTag(tag), KEY_READERS[tag](text))) for tag, text in parts
    ]
    return row_binding(encoded) if encoded else b""


def value_entry(number, kind, literal, *, tenant, row, pad, canary=False):
    codec = codec_for(TYPES[kind])
    column = ColumnIdentity(f"clinic.patient.golden_{number:03}", codec.type_tag)
    frame = build_frame(codec.encode(READERS[kind](literal)), codec.version, pad=pad, canary=canary)
    cipher = ValueCipher(DEK, realm=REALM, tenant=tenant)
    (tail,) = nonce_tails(1)
    return {
        "type": kind,
        "value": literal,
        "tenant": tenant,
        "logical_name": column.logical_name,
        "type_tag": column.type_tag,
        "key": row,
        "row": bind(row).hex(),
        "canary": canary,
        "envelope": cipher.encrypt(column, frame, bind(row), tail).hex(),
    }


def values():
    entries = []
    for kind, literal in [("str", "999-17-5017"), *LITERALS]:
        number = len(entries)
        place = {"tenant": TENANTS[number % 3], "row": ROWS[(number + 3) % len(ROWS)]}
        pad = codec_for(TYPES[kind]).default_pad
        entries.append(value_entry(number, kind, literal, pad=pad, **place))
    for pad, canary in ((None, False), (2, False), (4096, False), (None, True), (16, True)):
        entries.append(
            value_entry(len(entries), "str", "padded", tenant="", row=[], pad=pad, canary=canary)
        )
    return entries


def index_values():
    entries = []
    for number, (kind, names, literal) in enumerate(INDEXED):
        codec, steps = codec_for(TYPES[kind]), normaliser(names)
        value = READERS[kind](literal)
        canonical = codec.canonical(steps(value) if kind == "str" else value)
        tenant, domain = TENANTS[number % 3], f"domain-{number % 2}"
        index = BlindIndex(INDEX_DEK, realm=REALM, tenant=tenant)
        message = index_message(codec.type_tag, steps.identifier, canonical)
        entries.append(
            {
                "type": kind,
                "value": literal,
                "normaliser": names,
                "normaliser_id": steps.identifier,
                "type_tag": codec.type_tag,
                "canonical": canonical.hex(),
                "tenant": tenant,
                "domain": domain,
                "kind": EQUALITY,
                "index_value": index.digest(domain, EQUALITY, message).hex(),
            }
        )
    return entries


def main():
    if CORPUS.exists():
        sys.exit("v1.json exists and is never written again; read the top of this script")
    corpus = {
        "format": 1,
        "note": "Golden corpus of format v1: keys are public test keys; never regenerate.",
        "dek": DEK.hex(),
        "index_dek": INDEX_DEK.hex(),
        "realm": str(REALM),
        "values": values(),
        "index_values": index_values(),
    }
    with CORPUS.open("x", encoding="utf-8") as file:
        json.dump(corpus, file, ensure_ascii=False, indent=1)
        file.write("\n")
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
