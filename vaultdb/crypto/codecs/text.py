"""str as UTF-8."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, cast

from vaultdb.crypto.codecs.failure import bad_payload, refused
from vaultdb.crypto.text import utf8


class TextCodec:
    """Payload: UTF-8 without NUL. Padded to multiples of 16."""

    __slots__ = ()
    type_tag: ClassVar[str] = "str"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = 16

    def encode(self, value: object) -> bytes:
        """Encode text."""
        if not isinstance(value, str):
            raise refused("str", "a str")
        return utf8(value)

    def encode_all(self, values: Sequence[object]) -> list[bytes]:
        """Encode several texts, at a fifth of the cost of one by one."""
        if set(map(type, values)) == {str}:
            texts = cast("Sequence[str]", values)
            # One look at all of them; what cannot be stored is named by the slow way.
            with suppress(UnicodeEncodeError):
                if "\0" not in "".join(texts):
                    return list(map(str.encode, texts))
        return list(map(self.encode, values))

    def decode(self, payload: bytes, version: int) -> str:
        """Decode text."""
        if version == 1:
            try:
                return payload.decode()
            except UnicodeDecodeError:  # carries the payload: dropped before ours is raised
                pass
        raise bad_payload()

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index, after the normaliser."""
        return self.encode(value)
