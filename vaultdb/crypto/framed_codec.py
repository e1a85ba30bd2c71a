"""From a value to the frame that is encrypted, and back, in one call each."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from vaultdb.crypto.codec import Codec
from vaultdb.crypto.frame import PADDED, check_payload, open_frame
from vaultdb.crypto.padding import padding_tails

T = TypeVar("T")


class FramedCodec(Generic[T]):
    """A codec with its padding: what an encrypted column does to its values.

    :param codec: the codec of the column's type.
    :param pad: bytes to pad to a multiple of, or None for no padding.
    :raises ConfigurationError: a pad out of range.
    """

    __slots__ = ("_decode", "_encode", "_head", "_tails", "_version", "codec", "pad")

    def __init__(self, codec: Codec[T], pad: int | None) -> None:
        self.codec = codec
        self.pad = pad
        self._encode = codec.encode
        self._decode = codec.decode
        self._version = codec.version
        self._tails = None if pad is None else padding_tails(pad)
        self._head = bytes((0 if pad is None else PADDED, codec.version))

    def encode(self, value: T) -> bytes:
        """Build the frame of a value.

        :param value: secret, not None: NULL is never encrypted.
        :raises ValueRefused: the value is not of the type, or too large.
        """
        payload = self._encode(value)
        check_payload(payload)
        if self._tails is None:
            return self._head + payload
        return self._head + payload + self._tails[len(payload) % len(self._tails)]

    def decode(self, frame: bytes) -> T:
        """Read the value of a frame, however it was padded.

        :param frame: secret.
        :raises DecryptionError: the frame is not of this format or not of the type.
        """
        _, version, payload = open_frame(frame)
        return self._decode(payload, version)

    def __reduce__(self) -> tuple[Any, ...]:
        return FramedCodec, (self.codec, self.pad)
