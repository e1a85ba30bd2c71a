"""Enum members by name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag
from typing import ClassVar

from vaultdb.crypto.codecs.failure import bad_payload, refused
from vaultdb.crypto.text import utf8
from vaultdb.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class EnumCodec:
    """Payload: the member's name in UTF-8, so that values may change and names may not.

    Padded to multiples of 32: an unpadded male or female tells itself by length.

    Args:
        members: the Enum class.

    Raises:
        ConfigurationError: a Flag, whose combinations have no names, or an empty Enum.

    """

    members: type[Enum]

    type_tag: ClassVar[str] = "enum"
    version: ClassVar[int] = 1
    default_pad: ClassVar[int | None] = 32

    def __post_init__(self) -> None:
        if issubclass(self.members, Flag):
            raise ConfigurationError("a Flag has no single name; use encrypted(int) and its value")
        if not list(self.members):
            raise ConfigurationError("an Enum without members has no values to encrypt")

    def encode(self, value: object) -> bytes:
        """Encode a member."""
        if not isinstance(value, self.members):
            raise refused(self.members.__name__, f"a member of {self.members.__name__}")
        return utf8(value.name)

    def decode(self, payload: bytes, version: int) -> Enum:
        """Decode a member."""
        if version == 1:
            try:
                return self.members[payload.decode()]
            except (KeyError, UnicodeDecodeError):  # carry the name: dropped before ours is raised
                pass
        raise bad_payload()

    def canonical(self, value: object) -> bytes:
        """Encode for a blind index."""
        return self.encode(value)
