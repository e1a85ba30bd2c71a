"""The options of an encrypted column, checked where they are declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from vaultdb.crypto.codec import Codec
from vaultdb.errors import ConfigurationError
from vaultdb.orm.indexes import Equality

Bind = Literal["row", "column"] | tuple[str, ...]
Plaintext = Literal["allow", "empty", "forbid"]


class _Default(Enum):
    """A value that no caller has by accident."""

    PAD = "the padding of the type"

    def __repr__(self) -> str:
        return "DEFAULT_PAD"


DEFAULT_PAD = _Default.PAD
"""Pad as the type's codec suggests; None is no padding."""

Pad = int | None | Literal[_Default.PAD]

REFUSED_ARGUMENTS: Mapping[str, str] = {
    "unique": "equal values encrypt to different bytes; use index=Equality(unique=True)",
    "primary_key": "a key cannot be encrypted; use another key and index=Equality(unique=True)",
    "server_default": "the server cannot encrypt; use default=",
    "server_onupdate": "the server cannot encrypt; use onupdate=",
    "autoincrement": "a generated key cannot be encrypted; leave it in the clear",
    "type_": "the type is encrypted()'s first argument",
    "use_existing_column": "declare the column once, on the base class",
}
"""Arguments of `Column` and `mapped_column` that contradict encryption, and the remedy."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an encrypted column is declared with; hashable, holds names only.

    See `vaultdb.orm.types.Encrypted` for the meaning of each.
    """

    index: Equality | None
    bind: Bind
    logical_name: str | None
    keyset: str
    validate: Callable[[Any], object] | None
    pad: Pad
    tenant_column: str | None
    subject: str | None = None
    adopts: str | None = None
    plaintext: Plaintext = "forbid"
    sensitive: bool = False

    def __post_init__(self) -> None:
        if self.index is not None and not isinstance(self.index, Equality):
            raise ConfigurationError("index= takes an Equality(), or None for no index")
        if not _is_bind(self.bind):
            raise ConfigurationError(
                'bind= takes "row", "column" or a tuple of key column names such as ("id",)'
            )
        if self.sensitive not in (True, False):
            raise ConfigurationError("sensitive= takes True or False")
        if self.validate is not None and not callable(self.validate):
            raise ConfigurationError("validate= takes a function of one value, or None")
        if not _is_pad(self.pad):
            raise ConfigurationError("pad= takes a number of bytes, or None for no padding")
        if self.plaintext not in ("allow", "empty", "forbid"):
            raise ConfigurationError('plaintext= takes "allow", "empty" or "forbid"')
        if self.plaintext != "forbid" and self.adopts is None:
            raise ConfigurationError(
                f'plaintext="{self.plaintext}" needs adopts=: the name of the plaintext column'
            )
        if self.plaintext == "allow" and self.index is not None and self.index.rekey_into:
            raise ConfigurationError(
                'an index is not re-keyed while plaintext="allow": finish the adoption first'
            )
        for option in ("keyset", "logical_name", "tenant_column", "subject", "adopts"):
            _check_name(option, getattr(self, option), optional=option != "keyset")

    def changed(self, declared: Options) -> dict[str, object]:
        """Return the options that differ from `declared`, in order."""
        return {
            name: getattr(self, name)
            for name in self.__slots__
            if getattr(self, name) != getattr(declared, name)
        }

    def check(self, codec: Codec[Any]) -> None:
        """Refuse options that contradict the type.

        Raises:
            ConfigurationError: a normaliser for text on another type.

        """
        if self.index is not None:
            self.index.check(codec)


def _is_bind(bind: object) -> bool:
    if isinstance(bind, tuple):
        return bool(bind) and all(isinstance(name, str) and name for name in bind)
    return bind in ("row", "column")


def _is_pad(pad: object) -> bool:
    return pad is None or pad is DEFAULT_PAD or (isinstance(pad, int) and pad is not True)


def _check_name(option: str, name: object, *, optional: bool) -> None:
    if name is None and optional:
        return
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{option}= takes a name that is not empty")
