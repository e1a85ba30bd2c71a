"""From what stands in the old column to a value of the new one's type."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from vaultdb.crypto.codecs.structured import is_structured
from vaultdb.jobs.adopt.foreign.failure import Unreadable

NOT_OF_THE_TYPE = "not of the column's type"

_REPR = re.compile(r"(?:Decimal|UUID)\('([^']*)'\)")
"""How sqlalchemy-utils writes a value that it does not know: as `repr` does."""


def value_of(python_type: Any, found: Any) -> Any:
    """Return a value of the encrypted column's type.

    Args:
        python_type: of the encrypted column.
        found: as the driver, the model's own type or a reader of a foreign format gives it, not
            None; secret.

    Raises:
        Unreadable: it cannot be one; the codec may still refuse what is returned.

    """
    if isinstance(found, memoryview):
        found = bytes(found)
    with suppress(Exception):  # whatever a type says of a value may show the value
        converted = _converted(python_type, found)
        if converted is not None:
            return converted
    raise Unreadable(NOT_OF_THE_TYPE)


def _converted(python_type: Any, found: Any) -> Any:
    if issubclass(python_type, Enum):
        return _member(python_type, found)
    if is_structured(python_type):
        return _object(python_type, found)
    if _is_one(python_type, found):
        return found
    known = _FROM_TEXT if isinstance(found, str) else _FROM_OTHERS
    convert = known.get(python_type)
    return None if convert is None else convert(found)


def _is_one(python_type: type, found: object) -> bool:
    """Tell whether nothing need be done; a timestamp is a date to Python, and a boolean an int."""
    is_wider = (python_type is date and isinstance(found, datetime)) or (
        python_type is not bool and isinstance(found, bool)
    )
    return isinstance(found, python_type) and not is_wider


def _member(enum: type[Enum], found: Any) -> Enum:
    """Return a member by its name, as SQLAlchemy stores it, or by its value."""
    if isinstance(found, enum):
        return found
    return enum[found] if found in enum.__members__ else enum(found)


def _object(python_type: Any, found: Any) -> Any:
    if isinstance(found, python_type):
        return found
    adapter = TypeAdapter(python_type)
    if isinstance(found, str):
        return adapter.validate_json(found)
    return adapter.validate_python(found)


def _bytes(text: str) -> bytes:
    if text[:2] in {"b'", 'b"'}:
        literal = ast.literal_eval(text)
        assert isinstance(literal, bytes)
        return literal
    return text.encode()


def _boolean(text: str) -> bool:
    return {"true": True, "false": False, "True": True, "False": False, "1": True, "0": False}[text]


def _bare(text: str) -> str:
    """Return what `repr` of a decimal or UUID shows."""
    match = _REPR.fullmatch(text)
    return match.group(1) if match else text


def _duration(text: str) -> timedelta:
    return TypeAdapter(timedelta).validate_python(text)


_FROM_TEXT: Mapping[type, Callable[[str], Any]] = {
    bool: _boolean,
    int: int,
    float: float,
    bytes: _bytes,
    Decimal: lambda text: Decimal(_bare(text)),
    UUID: lambda text: UUID(_bare(text)),
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    time: time.fromisoformat,
    timedelta: _duration,
    dict: json.loads,
    list: json.loads,
}


def _whole(number: Any) -> int | None:
    return int(number) if isinstance(number, Decimal) and number == int(number) else None


def _decimal(number: Any) -> Decimal | None:
    return Decimal(number) if isinstance(number, int) and not isinstance(number, bool) else None


def _float(number: Any) -> float | None:
    return float(number) if isinstance(number, int | Decimal) else None


_FROM_OTHERS: Mapping[type, Callable[[Any], Any]] = {
    # Of numbers, only what changes nothing: a numeric column that holds whole numbers, for one.
    int: _whole,
    Decimal: _decimal,
    float: _float,
    str: lambda found: str(found) if isinstance(found, int | UUID | Decimal | date) else None,
    bytes: lambda found: found.encode() if isinstance(found, str) else None,
}
