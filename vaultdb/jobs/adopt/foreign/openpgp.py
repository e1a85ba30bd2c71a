"""OpenPGP messages under a passphrase, as pgcrypto's `pgp_sym_encrypt` writes them (RFC 4880).

Reading them here, and not with `pgp_sym_decrypt`, keeps the passphrase out of the server: out of
its log, `pg_stat_activity` and `pg_stat_statements`.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from collections.abc import Iterator
from typing import Final

from vaultdb.jobs.adopt.foreign.aes import from_base64
from vaultdb.jobs.adopt.foreign.cfb import decrypt_cfb
from vaultdb.jobs.adopt.foreign.failure import MALFORMED, WRONG_KEY, Unreadable
from vaultdb.jobs.adopt.foreign.string_to_key import Specifier

KEY_SIZES: Final = {7: 16, 8: 24, 9: 32}
"""Bytes of a key by cipher: AES-128, which is pgcrypto's default, AES-192 and AES-256."""
UNSUPPORTED: Final = "unsupported cipher or packet"
MDC_SIZE: Final = 22
"""Bytes of the packet that holds the SHA-1 of all before it: tag, length, digest."""
BLOCK_SIZE: Final = 16
LONGEST: Final = 1 << 30
"""Bytes of a value after decompression: what PostgreSQL can hold (MaxAllocSize)."""
_SESSION_KEY, _PROTECTED, _COMPRESSED, _LITERAL = 3, 18, 8, 11


class OpenPgpReader:
    """Reads messages, armoured or not.

    Args:
        passphrase: secret.

    """

    def __init__(self, passphrase: bytes) -> None:
        self._passphrase = passphrase

    def read(self, stored: bytes) -> bytes:
        """Return the plaintext, secret.

        Raises:
            Unreadable: no such message, another passphrase, altered, or a cipher but AES.

        """
        try:
            return self._read(stored)
        except (IndexError, zlib.error):
            pass
        raise Unreadable(MALFORMED)

    def _read(self, stored: bytes) -> bytes:
        message = _without_armour(stored) if stored.lstrip().startswith(b"-----") else stored
        found = dict(_packets(message))
        if _SESSION_KEY not in found or _PROTECTED not in found:
            raise Unreadable(UNSUPPORTED if found else MALFORMED)
        cipher, key = self._session_key(found[_SESSION_KEY])
        return _content(_opened(found[_PROTECTED], cipher, key))

    def _session_key(self, packet: bytes) -> tuple[int, bytes]:
        version, cipher = packet[0], packet[1]
        specifier, rest = Specifier.parse(packet[2:])
        if version != 4 or cipher not in KEY_SIZES:  # noqa: PLR2004  # of RFC 4880
            raise Unreadable(UNSUPPORTED)
        key = specifier.key(self._passphrase, KEY_SIZES[cipher])
        if not rest:
            return cipher, key
        opened = decrypt_cfb(key, bytes(BLOCK_SIZE), rest)
        if len(opened) - 1 != KEY_SIZES.get(opened[0]):
            raise Unreadable(WRONG_KEY)
        return opened[0], opened[1:]


def _opened(packet: bytes, cipher: int, key: bytes) -> bytes:
    """Decrypt and check the digest; tell another passphrase and an alteration alike."""
    if packet[0] != 1 or cipher not in KEY_SIZES:
        raise Unreadable(UNSUPPORTED)
    opened = decrypt_cfb(key, bytes(BLOCK_SIZE), packet[1:])
    body, ending = opened[:-MDC_SIZE], opened[-MDC_SIZE:]
    digest = hashlib.sha1(body + ending[:2], usedforsecurity=False).digest()
    if ending[:2] != b"\xd3\x14" or not hmac.compare_digest(digest, ending[2:]):
        raise Unreadable(WRONG_KEY)
    return body[BLOCK_SIZE + 2 :]


def _content(body: bytes) -> bytes:
    for tag, packet in _packets(body):
        if tag == _COMPRESSED:
            return _content(_inflated(packet))
        if tag == _LITERAL:
            return packet[2 + packet[1] + 4 :]  # format, file name, date
    raise Unreadable(MALFORMED)


def _inflated(packet: bytes) -> bytes:
    if packet[0] not in {0, 1, 2}:
        raise Unreadable(UNSUPPORTED)
    if packet[0] == 0:
        return packet[1:]
    inflater = zlib.decompressobj(-zlib.MAX_WBITS if packet[0] == 1 else zlib.MAX_WBITS)
    inflated = inflater.decompress(packet[1:], LONGEST)
    if not inflater.eof:
        raise Unreadable(MALFORMED)
    return inflated


def _packets(message: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(message):
        head = message[at]
        if not head & 0x80:
            raise Unreadable(MALFORMED)
        if head & 0x40:
            body, at = _new_body(message, at + 1)
            yield head & 0x3F, body
        else:
            body, at = _old_body(message, at + 1, head & 3)
            yield (head >> 2) & 0x0F, body


def _new_body(message: bytes, at: int) -> tuple[bytes, int]:
    """Read a body, which may come in parts (RFC 4880, section 4.2.2)."""
    parts = []
    while True:
        first = message[at]
        is_part = 224 <= first < 255  # noqa: PLR2004  # of section 4.2.2.4
        if is_part:
            size, at = 1 << (first & 0x1F), at + 1
        elif first < 192:  # noqa: PLR2004
            size, at = first, at + 1
        elif first < 224:  # noqa: PLR2004
            size, at = ((first - 192) << 8) + message[at + 1] + 192, at + 2
        else:
            size, at = int.from_bytes(message[at + 1 : at + 5], "big"), at + 5
        parts.append(_slice(message, at, size))
        at += size
        if not is_part:
            return b"".join(parts), at


def _old_body(message: bytes, at: int, kind: int) -> tuple[bytes, int]:
    width = (1, 2, 4, 0)[kind]
    size = int.from_bytes(message[at : at + width], "big") if width else len(message) - at
    at += width
    return _slice(message, at, size), at + size


def _slice(message: bytes, at: int, size: int) -> bytes:
    found = message[at : at + size]
    if len(found) != size:
        raise Unreadable(MALFORMED)
    return found


def _without_armour(stored: bytes) -> bytes:
    """Return what is between the armour's lines; its checksum adds nothing to the digest inside."""
    _, _, rest = stored.replace(b"\r\n", b"\n").partition(b"\n\n")
    body, _, _ = rest.partition(b"-----END")
    lines = [line for line in body.split(b"\n") if line and not line.startswith(b"=")]
    return from_base64(b"".join(lines))
