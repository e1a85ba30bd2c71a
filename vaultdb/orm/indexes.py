"""What a blind index over an encrypted column is declared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vaultdb.crypto.codec import Codec
from vaultdb.crypto.normalise import normaliser
from vaultdb.errors import ConfigurationError

INDEX_SUFFIX = "_index"
"""What the companion column's name adds to its column's."""

TEXT_TAG = "str"
"""The type tag of the values that normalisers work on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equality:
    """A blind index for `==`, `!=`, `in_` and joins.

    The database sees which rows of a tenant hold equal values, and nothing else. A unique index
    tells anybody who may insert whether a value exists (SQLSTATE 23505).

    Args:
        unique: whether a tenant may hold each value once.
        domain: columns with the same domain, keyset, type and normaliser can be joined; by
            default the column's logical name, so that no other column can be compared with it.
        normalise: what is equal: the name of a normaliser (`"exact"`, `"casefold"`, …).
        name: the companion column's name; by default the column's with `_index`.
        rekey_into: the name of a second companion column, which an incoming index key fills while
            searches still use the first; afterwards it becomes `name`.

    """

    unique: bool = False
    domain: str | None = None
    normalise: str = "exact"
    name: str | None = None
    rekey_into: str | None = None

    def __post_init__(self) -> None:
        if self.domain is not None and not self.domain:
            raise ConfigurationError("Equality(domain=...) is empty; leave it out or name a domain")
        if not isinstance(self.unique, bool):
            raise ConfigurationError("Equality(unique=...) takes True or False")
        if self.rekey_into is not None and self.rekey_into in {"", self.name}:
            raise ConfigurationError(
                "Equality(rekey_into=...) names a second column beside that of the index"
            )
        normaliser(self.normalise)

    def check(self, codec: Codec[Any]) -> None:
        """Refuse a normaliser on values that are not text.

        Raises:
            ConfigurationError: the codec is not that of `str`.

        """
        if self.normalise != "exact" and codec.type_tag != TEXT_TAG:
            raise ConfigurationError(
                "Equality(normalise=...) is for str columns; leave it out here"
            )
