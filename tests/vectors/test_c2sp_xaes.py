"""The known answers of https://c2sp.org/XAES-256-GCM."""

from __future__ import annotations

import hashlib

import pytest

from vaultdb.crypto.xaes import XAES256GCM

NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"
PLAINTEXT = b"XAES-256-GCM"
KNOWN_ANSWERS = [
    (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
    (
        b"\x03" * 32,
        b"c2sp.org/XAES-256-GCM",
        "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
    ),
]
ACCUMULATED_10_000 = "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"


@pytest.mark.parametrize(("key", "aad", "expected"), KNOWN_ANSWERS)
def test_the_known_answers_come_out(key, aad, expected):
    cipher = XAES256GCM(key)
    assert cipher.encrypt(NONCE, PLAINTEXT, aad).hex() == expected
    assert cipher.decrypt(NONCE, bytes.fromhex(expected), aad) == PLAINTEXT


class Stream:
    """SHAKE-128 of nothing, read piece by piece."""

    def __init__(self, size):
        self._bytes = hashlib.shake_128().digest(size)
        self._at = 0

    def read(self, size):
        self._at += size
        piece = self._bytes[self._at - size : self._at]
        assert len(piece) == size
        return piece


def test_ten_thousand_random_cases_accumulate_to_the_published_hash():
    stream, outcome = Stream(10_000 * (32 + 24 + 2 * 256)), hashlib.shake_128()
    for _ in range(10_000):
        key, nonce = stream.read(32), stream.read(24)
        plaintext = stream.read(stream.read(1)[0])
        aad = stream.read(stream.read(1)[0])
        cipher = XAES256GCM(key)
        ciphertext = cipher.encrypt(nonce, plaintext, aad)
        assert cipher.decrypt(nonce, ciphertext, aad) == plaintext
        outcome.update(ciphertext)
    assert outcome.hexdigest(32) == ACCUMULATED_10_000
