"""The frame: what the envelope encrypts.

::

    u8 flags (bit 0 canary, bit 1 padded, the rest zero) ‖ u8 codec version ‖ payload
"""

from __future__ import annotations

from typing import Final, NamedTuple

from vaultdb.crypto.limits import FRAME_HEADER_SIZE, MAX_PAYLOAD_SIZE
from vaultdb.crypto.padding import pad_payload, unpad_payload
from vaultdb.crypto.reason import Reason
from vaultdb.errors import DecryptionError, ValueRefused

CANARY: Final = 0b01
PADDED: Final = 0b10
_KNOWN_FLAGS: Final = CANARY | PADDED


class Frame(NamedTuple):
    """An opened frame; the payload is secret."""

    flags: int
    codec_version: int
    payload: bytes

    @property
    def canary(self) -> bool:
        """Whether the value is bait that nobody should read."""
        return bool(self.flags & CANARY)

    def __repr__(self) -> str:
        return f"<Frame of codec version {self.codec_version}>"


def build_frame(
    payload: bytes, codec_version: int, *, pad: int | None, canary: bool = False
) -> bytes:
    """Frame a payload for encryption.

    Args:
        payload: the encoded value, at most 1 MiB; secret.
        codec_version: 0 to 255, which version of the codec encoded it.
        pad: the multiple to pad the payload to, or None.
        canary: whether the value is bait.

    Raises:
        ValueRefused: the payload is over 1 MiB.

    """
    check_payload(payload)
    flags = CANARY if canary else 0
    if pad is not None:
        flags |= PADDED
        payload = pad_payload(payload, pad)
    return bytes((flags, codec_version)) + payload


def open_frame(frame: bytes) -> Frame:
    """Take a decrypted frame apart.

    Args:
        frame: what the envelope held; secret.

    Raises:
        DecryptionError: unknown flags or no padding where the flag promises it.

    """
    if len(frame) < FRAME_HEADER_SIZE or frame[0] & ~_KNOWN_FLAGS:
        raise DecryptionError(Reason.FRAME)
    payload: bytes | None = frame[FRAME_HEADER_SIZE:]
    if frame[0] & PADDED:
        payload = unpad_payload(frame[FRAME_HEADER_SIZE:])
    if payload is None:
        raise DecryptionError(Reason.FRAME)
    return Frame(frame[0], frame[1], payload)


def check_payload(payload: bytes) -> None:
    """Refuse a payload that is too large to encrypt.

    Raises:
        ValueRefused: the payload is over 1 MiB.

    """
    if len(payload) > MAX_PAYLOAD_SIZE:
        raise ValueRefused("the value takes more than 1 MiB; keep large objects outside the row")
