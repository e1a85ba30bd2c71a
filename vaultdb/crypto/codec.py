"""Codecs: how a Python value becomes bytes, exactly and reversibly."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Final, Protocol, TypeVar, get_origin
from uuid import UUID

from vaultdb.crypto.codecs.binary import BinaryCodec
from vaultdb.crypto.codecs.dates import DateCodec
from vaultdb.crypto.codecs.datetimes import DatetimeCodec
from vaultdb.crypto.codecs.decimals import DecimalCodec
from vaultdb.crypto.codecs.documents import DocumentCodec
from vaultdb.crypto.codecs.durations import DurationCodec
from vaultdb.crypto.codecs.enums import EnumCodec
from vaultdb.crypto.codecs.numbers import BooleanCodec, FloatCodec, IntegerCodec
from vaultdb.crypto.codecs.structured import StructuredCodec, is_structured
from vaultdb.crypto.codecs.text import TextCodec
from vaultdb.crypto.codecs.times import TimeCodec
from vaultdb.crypto.codecs.uuids import UuidCodec
from vaultdb.errors import ConfigurationError

T = TypeVar("T")


class Codec(Protocol[T]):
    """The encoding of one type. Holds no key and no value, and may be pickled.

    A codec may have `encode_all(values)` too, where that is faster than one by one.
    """

    type_tag: ClassVar[str]
    """The type's name in associated data; stored values depend on it for ever."""

    version: ClassVar[int]
    """The version that `encode` writes, 1 to 255; `decode` reads all up to it."""

    default_pad: ClassVar[int | None]
    """The padding, in bytes, unless the column declares another."""

    def encode(self, value: T) -> bytes:
        """Encode a value.

        Raises:
            ValueRefused: the value is not of the type; the message does not show it.

        """
        ...

    def decode(self, payload: bytes, version: int) -> T:
        """Decode what some version encoded.

        Raises:
            DecryptionError: the payload is not of the type.

        """
        ...

    def canonical(self, value: T) -> bytes:
        """Encode for a blind index: equal values give equal bytes.

        Raises:
            ValueRefused: the value is not of the type.
            ConfigurationError: the type has no equality that an index could follow.

        """
        ...


def codec_for(python_type: Any, /) -> Codec[Any]:
    """Find the codec of a type.

    Args:
        python_type: `str`, `bytes`, `int`, `float`, `bool`, `Decimal`, `date`,
            `datetime`, `time`, `timedelta`, `UUID`, an `Enum`, `dict`, `list`, a
            pydantic model or a dataclass.

    Raises:
        ConfigurationError: another type.

    """
    built_in = get_origin(python_type) or python_type  # dict[str, int] is encrypted as a dict
    if isinstance(built_in, type) and built_in in _BUILT_IN:
        return _BUILT_IN[built_in]
    if isinstance(python_type, type):
        if issubclass(python_type, Enum):
            return EnumCodec(python_type)
        if is_structured(python_type):
            return StructuredCodec(python_type)
    raise ConfigurationError(
        f"encrypted() has no codec for {python_type!r}; use str, bytes, int, float, bool, Decimal, "
        "date, datetime, time, timedelta, UUID, an Enum, dict, list, a pydantic model or a "
        "dataclass"
    )


_BUILT_IN: Final[Mapping[object, Codec[Any]]] = {
    str: TextCodec(),
    bytes: BinaryCodec(),
    int: IntegerCodec(),
    float: FloatCodec(),
    bool: BooleanCodec(),
    Decimal: DecimalCodec(),
    date: DateCodec(),
    datetime: DatetimeCodec(),
    time: TimeCodec(),
    timedelta: DurationCodec(),
    UUID: UuidCodec(),
    dict: DocumentCodec(dict),
    list: DocumentCodec(list),
}
