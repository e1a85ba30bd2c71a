"""Open one vaultdb value with `cryptography` alone; see README.md for the input."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from datetime import date
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFCMAC, CounterLocation, Mode

PRINTABLE = {"str", "json", "object", "decimal", "enum"}
PADDED = 2

# Tag of a key column, and how its text becomes bytes.
KEY_PARTS = {
    1: lambda text: int(text).to_bytes(8, "big", signed=True),
    2: lambda text: UUID(text).bytes,
    3: str.encode,
    4: bytes.fromhex,
    5: lambda text: (date.fromisoformat(text) - date(2000, 1, 1)).days.to_bytes(
        4, "big", signed=True
    ),
}


def canon(*parts: bytes) -> bytes:
    return bytes([len(parts)]) + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def row_binding(key: list[tuple[int, str]]) -> bytes:
    if not key:
        return b""  # bind="column"
    parts = [(tag, KEY_PARTS[tag](text)) for tag, text in key]
    return bytes([len(parts)]) + b"".join(
        bytes([tag]) + len(part).to_bytes(4, "big") + part for tag, part in parts
    )


def subkey(dek: bytes, prefix: bytes) -> bytes:
    """XAES-256-GCM (https://c2sp.org/XAES-256-GCM): CMAC in counter mode over the nonce's half."""
    return KBKDFCMAC(
        algorithm=AES,
        mode=Mode.CounterMode,
        length=32,
        rlen=2,
        llen=None,
        location=CounterLocation.BeforeFixed,
        label=None,
        context=None,
        fixed=b"X\x00" + prefix,
    ).derive(dek)


def decrypt(value: dict[str, Any]) -> bytes:
    """The payload; raises when anything is not as it was written."""
    dek, envelope = bytes.fromhex(value["dek"]), bytes.fromhex(value["envelope"])
    header, nonce, sealed = envelope[:18], envelope[18:42], envelope[42:]
    key_id = hmac.digest(dek, b"vaultdb/key-id/v1", hashlib.sha256)[:16]
    if header != b"\xf6\x01" + key_id:
        raise ValueError("no envelope of this key")
    associated_data = canon(
        b"vaultdb/aad/v1",
        UUID(value["realm"]).bytes,
        value["tenant"].encode(),
        value["logical_name"].encode(),
        value["type_tag"].encode(),
        header,
        row_binding(value["key"]),
    )
    frame = AESGCM(subkey(dek, nonce[:12])).decrypt(nonce[12:], sealed, associated_data)
    flags, payload = frame[0], frame[2:]
    return payload.rstrip(b"\x00")[:-1] if flags & PADDED else payload


if __name__ == "__main__":
    described = json.load(sys.stdin)
    opened = decrypt(described)
    print(opened.decode() if described["type_tag"] in PRINTABLE else opened.hex())
