"""A second implementation of format v1, written from docs/explanation/format.md alone.

It shares no code with vaultdb and takes other roads where there are any: CMAC and GCM from other
parts of `cryptography`, HKDF by hand, encodings by concatenation. What both agree on is the format.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFCMAC, CounterLocation, Mode


def u32(number):
    return bytes([number >> 24 & 255, number >> 16 & 255, number >> 8 & 255, number & 255])


def canon(*parts):
    encoded = bytes([len(parts)])
    for part in parts:
        encoded = encoded + u32(len(part)) + part
    return encoded


def key_id(dek):
    return hmac.new(dek, b"vaultdb/key-id/v1", hashlib.sha256).digest()[:16]


def hkdf(secret, info):
    """HKDF-SHA256 without salt for 32 bytes: one block of expansion (RFC 5869, 2.3)."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def subkey(dek, prefix):
    """The XAES subkey through the library's own CMAC in counter mode (NIST SP 800-108)."""
    derivation = KBKDFCMAC(
        algorithm=algorithms.AES,
        mode=Mode.CounterMode,
        length=32,
        rlen=2,
        llen=None,
        location=CounterLocation.BeforeFixed,
        label=None,
        context=None,
        fixed=b"X\x00" + prefix,
    )
    return derivation.derive(dek)


def row_binding(*parts):
    encoded = bytes([len(parts)])
    for tag, part in parts:
        encoded += bytes([tag]) + u32(len(part)) + part
    return encoded


@dataclass(frozen=True)
class Place:
    """Where a value belongs: everything that its tag vouches for."""

    realm: UUID
    tenant: str
    logical_name: str
    type_tag: str
    row: bytes

    def associated_data(self, header):
        return canon(
            b"vaultdb/aad/v1",
            self.realm.bytes,
            self.tenant.encode("utf-8"),
            self.logical_name.encode("utf-8"),
            self.type_tag.encode("utf-8"),
            header,
            self.row,
        )


def seal(dek, place, frame, nonce):
    header = b"\xf6\x01" + key_id(dek)
    cipher = Cipher(algorithms.AES(subkey(dek, nonce[:12])), modes.GCM(nonce[12:])).encryptor()
    cipher.authenticate_additional_data(place.associated_data(header))
    ciphertext = cipher.update(frame) + cipher.finalize()
    return header + nonce + ciphertext + cipher.tag


def unseal(dek, place, envelope):
    """The frame; raises InvalidTag or AssertionError."""
    header, nonce = envelope[:18], envelope[18:42]
    assert header == b"\xf6\x01" + key_id(dek)
    mode = modes.GCM(nonce[12:], envelope[-16:])
    cipher = Cipher(algorithms.AES(subkey(dek, nonce[:12])), mode).decryptor()
    cipher.authenticate_additional_data(place.associated_data(header))
    return cipher.update(envelope[42:-16]) + cipher.finalize()


def frame(payload, *, version=1, pad=None, canary=False):
    flags = (1 if canary else 0) + (2 if pad else 0)
    if pad:
        payload = payload + b"\x80"
        while len(payload) % pad:
            payload += b"\x00"
    return bytes([flags, version]) + payload


def unframe(framed):
    """Flags, codec version and payload."""
    flags, version, payload = framed[0], framed[1], framed[2:]
    assert flags < 4
    if flags & 2:
        end = len(payload) - 1
        while payload[end] == 0:
            end -= 1
        assert payload[end] == 0x80
        payload = payload[:end]
    return flags, version, payload


def index_value(dek, *, realm, tenant, domain, kind, type_tag, normaliser_id, canonical):
    info = canon(b"vaultdb/index/v1", realm.bytes, *(s.encode() for s in (tenant, domain, kind)))
    message = canon(type_tag.encode(), normaliser_id.encode(), canonical)
    tag = hmac.new(hkdf(dek, info), message, hashlib.sha256).digest()[:16]
    return b"\xb1\x01" + key_id(dek)[:8] + tag


def is_nan(value):
    return isinstance(value, float) and math.isnan(value)
