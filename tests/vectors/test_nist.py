"""NIST's vectors for what XAES and HKDF stand on, from the `cryptography-vectors` distribution.

They test the installed library more than vaultdb: an AES-GCM that is wrong on this machine must not
write a single value.
"""

from __future__ import annotations

import re
from itertools import islice
from uuid import UUID

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.vectors import second
from vaultdb.crypto.derive import index_key
from vaultdb.crypto.xaes import XAES256GCM

GCM = "ciphers/AES/GCM"
PROFILE = {"Keylen": "256", "IVlen": "96", "Taglen": "128"}


def cases(path):
    """Dictionaries of one NIST response file, each with the bracketed settings before it."""
    settings, case = {}, None
    with cryptography_vectors.open_vector_file(path, "r") as lines:
        for raw in lines:
            line = raw.strip()
            if bracket := re.fullmatch(r"\[(\w+) = (\w+)\]", line):
                settings[bracket[1]] = bracket[2]
            elif line.upper().startswith("COUNT"):
                if case is not None:
                    yield case
                case = dict(settings)
            elif line == "FAIL":
                case["FAIL"] = ""
            elif case is not None and "=" in line:
                name, _, value = line.partition("=")
                case[name.strip()] = value.strip()
    yield case


def in_profile(case):
    return case.items() >= PROFILE.items()


def octets(case, *names):
    return [bytes.fromhex(case[name]) for name in names]


def test_gcm_encrypts_as_cavp_says():
    seen = 0
    for case in filter(in_profile, cases(f"{GCM}/gcmEncryptExtIV256.rsp")):
        key, nonce, plaintext, aad, ciphertext, tag = octets(
            case, "Key", "IV", "PT", "AAD", "CT", "Tag"
        )
        assert AESGCM(key).encrypt(nonce, plaintext, aad) == ciphertext + tag
        seen += 1
    assert seen == 375


def test_gcm_decrypts_and_refuses_as_cavp_says():
    seen = refused = 0
    for case in filter(in_profile, cases(f"{GCM}/gcmDecrypt256.rsp")):
        key, nonce, ciphertext, aad, tag = octets(case, "Key", "IV", "CT", "AAD", "Tag")
        seen += 1
        if "FAIL" in case:
            refused += 1
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, ciphertext + tag, aad)
        else:
            opened = AESGCM(key).decrypt(nonce, ciphertext + tag, aad)
            assert opened == bytes.fromhex(case["PT"])
    assert seen == 375
    assert 0 < refused < seen


def test_the_subkey_is_cmac_in_counter_mode_and_cmac_is_as_nist_says():
    seen = 0
    for case in cases("CMAC/nist-800-38b-aes256.txt"):
        key, message, expected = octets(case, "KEY", "MESSAGE", "OUTPUT")
        mac = CMAC(AES256(key))
        mac.update(message)
        assert mac.finalize() == expected
        seen += 1
        # The same key, through our own doubling: the subkey must encrypt like CMAC's two blocks.
        prefix = (message + bytes(12))[:12]
        halves = []
        for counter in (b"\x00\x01", b"\x00\x02"):
            mac = CMAC(AES256(key))
            mac.update(counter + b"X\x00" + prefix)
            halves.append(mac.finalize())
        expected = AESGCM(b"".join(halves)).encrypt(bytes(12), b"probe", None)
        assert XAES256GCM(key).encrypt(prefix + bytes(12), b"probe", None) == expected
        assert second.subkey(key, prefix) == b"".join(halves)
    assert seen == 4


def test_hkdf_is_as_rfc_5869_says():
    seen = 0
    for case in cases("KDF/rfc-5869-HKDF-SHA256.txt"):
        secret, salt, info, expected = octets(case, "IKM", "salt", "info", "OKM")
        derived = HKDF(SHA256(), int(case["L"]), salt=salt, info=info).derive(secret)
        assert derived == expected
        if not salt:
            assert second.hkdf(secret, info) == expected[:32]
        seen += 1
    assert seen == 3


def test_index_keys_are_hkdf_of_the_canonical_list():
    realm = UUID(int=5)
    info = second.canon(b"vaultdb/index/v1", realm.bytes, b"acme", b"patient.ssn", b"equality")
    derived = index_key(
        bytes(32), realm=realm, tenant="acme", domain="patient.ssn", kind="equality"
    )
    assert derived == second.hkdf(bytes(32), info)


def test_the_files_hold_what_was_counted():
    assert len(list(islice(cases(f"{GCM}/gcmDecrypt256.rsp"), 10_000))) == 7875
