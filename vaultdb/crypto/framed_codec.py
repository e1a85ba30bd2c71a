"""From a value to the frame that is encrypted, and back, in one call each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from vaultdb.crypto.codec import Codec
from vaultdb.crypto.frame import PADDED, check_payload, open_frame
from vaultdb.crypto.limits import FRAME_HEADER_SIZE, MAX_PAYLOAD_SIZE
from vaultdb.crypto.padding import PAD_MARKER, padding_tails

T = TypeVar("T")


class FramedCodec(Generic[T]):
    """A codec with its padding: what an encrypted column does to its values.

    Args:
        codec: the codec of the column's type.
        pad: bytes to pad to a multiple of, or None for no padding.

    Raises:
        ConfigurationError: a pad out of range.

    """

    __slots__ = (
        "_bare",
        "_decode",
        "_encode",
        "_encode_all",
        "_padded",
        "_tails",
        "_version",
        "codec",
        "pad",
    )

    def __init__(self, codec: Codec[T], pad: int | None) -> None:
        self.codec = codec
        self.pad = pad
        self._encode = codec.encode
        self._encode_all: Callable[[Sequence[T]], list[bytes]] = getattr(
            codec, "encode_all", self._one_by_one
        )
        self._decode = codec.decode
        self._version = codec.version
        self._tails = () if pad is None else padding_tails(pad)
        self._bare = bytes((0, codec.version))
        self._padded = bytes((PADDED, codec.version))

    def encode(self, value: T) -> bytes:
        """Build the frame of a value.

        Args:
            value: secret, not None: NULL is never encrypted.

        Raises:
            ValueRefused: the value is not of the type, or too large.

        """
        payload = self._encode(value)
        size = len(payload)
        if size > MAX_PAYLOAD_SIZE:
            check_payload(payload)
        tails = self._tails
        if tails:
            return self._padded + payload + tails[size % len(tails)]
        return self._bare + payload

    def encode_all(self, values: Sequence[T]) -> list[bytes]:
        """Build the frames of several values; see `encode`."""
        payloads = self._encode_all(values)
        if max(map(len, payloads), default=0) > MAX_PAYLOAD_SIZE:
            for payload in payloads:
                check_payload(payload)
        tails = self._tails
        if not tails:
            bare = self._bare
            return [bare + payload for payload in payloads]
        padded, multiple = self._padded, len(tails)
        return [padded + payload + tails[len(payload) % multiple] for payload in payloads]

    def decode(self, frame: bytes) -> T:
        """Read the value of a frame, however it was padded.

        Args:
            frame: secret.

        Raises:
            DecryptionError: the frame is not of this format or not of the type.

        """
        # The two frames that this very codec writes, taken apart in place; open_frame() does the
        # same for every frame at three times the cost.
        head = frame[:FRAME_HEADER_SIZE]
        if head == self._padded:
            marked = frame.rstrip(b"\0")
            if marked[-1] == PAD_MARKER:
                return self._decode(marked[FRAME_HEADER_SIZE:-1], self._version)
        elif head == self._bare:
            return self._decode(frame[FRAME_HEADER_SIZE:], self._version)
        _, version, payload = open_frame(frame)
        return self._decode(payload, version)

    def _one_by_one(self, values: Sequence[T]) -> list[bytes]:
        return list(map(self._encode, values))

    def __reduce__(self) -> tuple[Any, ...]:
        return FramedCodec, (self.codec, self.pad)
