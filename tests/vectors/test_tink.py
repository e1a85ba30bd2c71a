"""Google's Tink as an independent XAES-256-GCM: each opens what the other sealed."""

from __future__ import annotations

import os
import random
from uuid import UUID

import pytest

from tests.vectors import second
from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.value_cipher import ValueCipher
from vaultdb.crypto.xaes import XAES256GCM

tink = pytest.importorskip("tink")
aead = pytest.importorskip("tink.aead")
proto = pytest.importorskip("tink.proto.tink_pb2")
xaes_proto = pytest.importorskip("tink.proto.x_aes_gcm_pb2")


@pytest.fixture(scope="module", autouse=True)
def _registered():
    aead.register()


def tink_cipher(key):
    """Tink's primitive under our key, without Tink's own prefix."""
    from tink import cleartext_keyset_handle

    key_value = xaes_proto.XAesGcmKey(
        version=0, params=xaes_proto.XAesGcmParams(salt_size=12), key_value=key
    )
    keyset = proto.Keyset(
        primary_key_id=1,
        key=[
            proto.Keyset.Key(
                key_id=1,
                status=proto.ENABLED,
                output_prefix_type=proto.RAW,
                key_data=proto.KeyData(
                    type_url="type.googleapis.com/google.crypto.tink.XAesGcmKey",
                    value=key_value.SerializeToString(),
                    key_material_type=proto.KeyData.SYMMETRIC,
                ),
            )
        ],
    )
    handle = cleartext_keyset_handle.from_keyset(keyset)
    return handle.primitive(aead.Aead)


def test_tink_and_vaultdb_open_each_others_ciphertexts():
    choose = random.Random(20_261_122)  # sizes only
    for _ in range(20):
        key = os.urandom(32)
        theirs, ours = tink_cipher(key), XAES256GCM(key)
        for _ in range(25):
            plaintext = os.urandom(choose.randrange(300))
            data = os.urandom(choose.randrange(100))
            nonce = os.urandom(24)
            assert theirs.decrypt(nonce + ours.encrypt(nonce, plaintext, data), data) == plaintext
            sealed = theirs.encrypt(plaintext, data)
            assert ours.decrypt(sealed[:24], sealed[24:], data) == plaintext


def test_tink_opens_an_envelope_and_seals_one():
    dek, realm, row = os.urandom(32), UUID(int=3), b"\x01row"
    cipher = ValueCipher(dek, realm=realm, tenant="acme")
    column = ColumnIdentity("public.patient.ssn", "str")
    place = second.Place(realm, "acme", "public.patient.ssn", "str", row)
    header = b"\xf6\x01" + second.key_id(dek)
    theirs = tink_cipher(dek)
    envelope = cipher.encrypt(column, b"\x00\x01Ada", row, os.urandom(12))
    assert theirs.decrypt(envelope[18:], place.associated_data(header)) == b"\x00\x01Ada"
    sealed = header + theirs.encrypt(b"\x00\x01Ada", place.associated_data(header))
    assert cipher.decrypt(column, sealed, row) == b"\x00\x01Ada"
