"""What one 32-byte value costs, encoding included, against AES-GCM alone, in loops of the same length."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import process_time
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.bench.report import Measurement, compare
from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.codec import codec_for
from vaultdb.crypto.framed_codec import FramedCodec
from vaultdb.crypto.nonce import nonce_tails
from vaultdb.crypto.row_binding import KeyTag, encode_key_part, row_binding
from vaultdb.crypto.value_cipher import ValueCipher

VALUES = 30_000
PER_STATEMENT = 30  # ten rows of three columns
VALUE = bytes(32)
REALM = UUID(int=1)
COLUMN = ColumnIdentity("app.patient.ssn", "bytes")
ROW = row_binding([(KeyTag.INTEGER, encode_key_part(KeyTag.INTEGER, 4711))])


def cpu_timed(work: Callable[[], object]) -> Callable[[], float]:
    """Wrap *work* so that calling it returns the processor seconds it took."""

    def run() -> float:
        start = process_time()
        work()
        return process_time() - start

    return run


def run(repetitions: int = 9) -> list[Measurement]:
    """Encrypt and decrypt the same values with and without vaultdb."""
    plain = AESGCM(os.urandom(32))
    cipher = ValueCipher(os.urandom(32), realm=REALM, tenant="")
    codec = FramedCodec(codec_for(bytes), None)

    def plain_encrypt() -> None:
        encrypt, urandom = plain.encrypt, os.urandom
        for _ in range(VALUES):
            nonce = urandom(12)
            nonce + encrypt(nonce, VALUE, None)

    def vaultdb_encrypt() -> None:
        encrypt, encode = cipher.encrypt, codec.encode
        for _ in range(VALUES // PER_STATEMENT):
            for tail in nonce_tails(PER_STATEMENT):
                encrypt(COLUMN, encode(VALUE), ROW, tail)

    nonces = [os.urandom(12) for _ in range(VALUES)]
    raw = [nonce + plain.encrypt(nonce, VALUE, None) for nonce in nonces]
    tails = nonce_tails(VALUES)
    envelopes = [cipher.encrypt(COLUMN, codec.encode(VALUE), ROW, t) for t in tails]

    def plain_decrypt() -> None:
        decrypt = plain.decrypt
        for value in raw:
            decrypt(value[:12], value[12:], None)

    def vaultdb_decrypt() -> None:
        decrypt, decode = cipher.decrypt, codec.decode
        for envelope in envelopes:
            decode(decrypt(COLUMN, envelope, ROW))

    per_value = {"repetitions": repetitions, "unit": "µs", "scale": 1e6 / VALUES}
    return [
        compare(
            "encrypt 32 bytes",
            cpu_timed(vaultdb_encrypt),
            cpu_timed(plain_encrypt),
            target=1.8,
            **per_value,
        ),
        compare(
            "decrypt 32 bytes",
            cpu_timed(vaultdb_decrypt),
            cpu_timed(plain_decrypt),
            target=2.2,
            **per_value,
        ),
    ]
