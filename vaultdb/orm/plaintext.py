"""Reading plaintext where there is no ciphertext yet, in a form that no setting changes.

::

    0xFFFFFFFF ‖ the value as JSON in UTF-8      bytes: as they are; float: its 8 bytes in hex

The four bytes stand where the size of a row binding stands in front of a ciphertext; no binding is
that long. Only `plaintext="allow"` makes a statement select this, and a reader accept it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_origin
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, func, literal_column

from vaultdb.errors import DecryptionError, ValueRefused
from vaultdb.orm.plaintext_reads import warn_once
from vaultdb.orm.row_expression import BYTES, bytes_literal, concatenation
from vaultdb.orm.runtime import find_runtime

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from vaultdb.orm.types import Encrypted

T = TypeVar("T")

MARK: Final = b"\xff\xff\xff\xff"
MARK_SQL: Final = str(bytes_literal(MARK))
"""How the mark is written in a statement."""

SQLITE_PLAINTEXT: Final = "vaultdb_plaintext"
"""A Python function on each SQLite connection; see `vaultdb.orm.sqlite`."""


def marked(type_: Encrypted[Any], plain: ColumnElement[Any]) -> ColumnElement[bytes]:
    """Build PostgreSQL's expression for a plaintext: NULL for NULL."""
    return concatenation([MARK, _as_bytes(type_.python_type, plain)])


def marked_on_sqlite(value: Any) -> bytes | None:
    """Return the same for a value as SQLite stores it."""
    if value is None:
        return None
    return MARK + (value if isinstance(value, bytes) else json.dumps(value).encode())


def plaintext_reader(
    type_: Encrypted[Any], dialect: Dialect, read: Callable[[Any], T | None]
) -> Callable[[Any], T | None]:
    """Return a function that reads plaintext itself, and leaves ciphertexts to `read`."""
    name = type_.identity.logical_name
    decode = _decoder(type_)
    warn_once(type_)
    runtime = find_runtime(dialect)
    if runtime is not None:
        runtime.plaintext_reads.follow(name)

    def read_either(value: Any) -> T | None:
        if value is None or value[:4] != MARK:
            return read(value)
        if runtime is not None:
            runtime.plaintext_reads.add(name)
        return decode(value[4:])

    return read_either


def _as_bytes(python_type: Any, plain: ColumnElement[Any]) -> ColumnElement[bytes]:
    if python_type is bytes:
        return plain
    if python_type is float:  # as text, extra_float_digits may leave digits out
        sent = func.pg_catalog.float8send(plain, type_=BYTES)
        plain = func.pg_catalog.encode(sent, literal_column("'hex'"))
    # to_jsonb knows neither DateStyle nor bytea_output, and writes an offset with each timestamptz.
    text = cast(func.pg_catalog.to_jsonb(plain), Text)
    return func.pg_catalog.convert_to(text, literal_column("'UTF8'"), type_=BYTES)


def _decoder(type_: Encrypted[T]) -> Callable[[bytes], T | None]:
    python_type: Any = type_.python_type
    kind = get_origin(python_type) or python_type
    convert: Callable[[Any], Any]
    convert = _members(kind) if issubclass(kind, Enum) else _FROM_JSON.get(kind, _same)
    codec = type_.codec

    def decode(found: bytes) -> T | None:
        try:
            value = found if kind is bytes else convert(json.loads(found, parse_float=Decimal))
            if value is None:  # JSON's own null
                return None
            # What would be stored, so that a row reads the same before and after it is encrypted.
            return codec.decode(codec.encode(value), codec.version)  # type: ignore[no-any-return]
        except (ValueRefused, DecryptionError, ValueError, ArithmeticError, TypeError, LookupError):
            pass  # with the error's context, where the value is
        raise ValueRefused(
            f"{type_.logical_name}: the plaintext in {type_.options.adopts!r} is not of the "
            "column's type; correct it in the database"
        )

    return decode


def _same(value: Any) -> Any:
    return value


def _float(value: Any) -> float:
    return struct.unpack(">d", bytes.fromhex(value))[0] if isinstance(value, str) else float(value)


def _document(value: Any) -> Any:
    if isinstance(value, str):  # SQLite's JSON is text
        return json.loads(value)
    return _with_floats(value)


def _with_floats(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: _with_floats(each) for key, each in value.items()}
    return [_with_floats(each) for each in value] if isinstance(value, list) else value


def _boolean(value: Any) -> bool:
    if value in (0, 1):  # also SQLite's numbers
        return bool(value)
    raise ValueError


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))


def _members(enum: type[Enum]) -> Callable[[Any], Enum]:
    def member(found: Any) -> Enum:
        """Return a member by its name, as SQLAlchemy stores it, or by its value."""
        return enum[found] if found in enum.__members__ else enum(found)

    return member


_FROM_JSON: Final[Mapping[type, Callable[[Any], Any]]] = {
    bool: _boolean,
    float: _float,
    Decimal: _decimal,
    UUID: UUID,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    time: time.fromisoformat,
    dict: _document,
    list: _document,
}
