from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag

from vaultdb.crypto.xaes import XAES256GCM

NONCE = bytes(range(24))


def test_what_is_encrypted_decrypts_under_the_same_nonce_and_data():
    cipher = XAES256GCM(bytes(32))
    sealed = cipher.encrypt(NONCE, b"secret", b"data")
    assert len(sealed) == len(b"secret") + 16
    assert cipher.decrypt(NONCE, sealed, b"data") == b"secret"


def test_no_associated_data_is_the_same_as_empty_data():
    cipher = XAES256GCM(bytes(32))
    assert cipher.encrypt(NONCE, b"", None) == cipher.encrypt(NONCE, b"", b"")


def test_any_other_key_nonce_half_or_data_fails():
    sealed = XAES256GCM(bytes(32)).encrypt(NONCE, b"secret", b"data")
    attempts = [
        (b"\1" + bytes(31), NONCE, b"data"),
        (bytes(32), b"\xff" + NONCE[1:], b"data"),
        (bytes(32), NONCE[:-1] + b"\xff", b"data"),
        (bytes(32), NONCE, b"dat"),
        (bytes(32), NONCE, None),
    ]
    for key, nonce, data in attempts:
        with pytest.raises(InvalidTag):
            XAES256GCM(key).decrypt(nonce, sealed, data)


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33])
def test_a_key_of_another_size_is_refused(size):
    with pytest.raises(ValueError, match="32 bytes"):
        XAES256GCM(bytes(size))


@pytest.mark.parametrize("size", [0, 12, 23, 25])
def test_a_nonce_of_another_size_is_refused(size):
    cipher = XAES256GCM(bytes(32))
    with pytest.raises(ValueError, match="24 bytes"):
        cipher.encrypt(bytes(size), b"", None)
    with pytest.raises(ValueError, match="24 bytes"):
        cipher.decrypt(bytes(size), bytes(16), None)
    with pytest.raises(ValueError, match="12 bytes"):
        cipher.subkey_cipher(bytes(size + 13))
