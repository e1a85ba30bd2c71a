"""JSON in one canonical spelling.

UTF-8, object keys sorted by code point, no white space, no escapes but those that JSON requires,
integers of at most 64 bits, floats in Python's shortest exact form, no NaN and no infinities.
Two equal documents give the same bytes whatever order their keys were added in.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from vaultdb.crypto.limits import MAX_INTEGER, MAX_JSON_DEPTH, MIN_INTEGER
from vaultdb.crypto.text import utf8
from vaultdb.errors import ValueRefused


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
)
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def dump_json(value: Any) -> bytes:
    """Write a document.

    Args:
        value: dicts with str keys, lists, str, int, float, bool and None; secret.

    Raises:
        ValueRefused: anything else, or what would come back different.

    """
    _check(value, MAX_JSON_DEPTH)
    return utf8(_ENCODER.encode(value))


def load_json(document: bytes) -> Any:
    """Read a document.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested deeper than any that was written.

    """
    return _DECODER.decode(document.decode())


def equal_numbers(value: Any) -> Any:
    """Spell equal numbers alike: 1.0 as 1, as PostgreSQL's jsonb compares them."""
    if isinstance(value, dict):
        return {key: equal_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [equal_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer() and _fits(int(value)):
        return int(value)
    return value


def _check(value: Any, depth: int) -> None:
    if depth < 0:
        raise _refused(f"at most {MAX_JSON_DEPTH} levels of nesting")
    if isinstance(value, str):
        if "\0" in value:
            raise _refused("text without NUL characters")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _refused("str keys only; others would come back as str")
            _check(key, depth)
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)
    else:
        _check_scalar(value)


def _check_scalar(value: Any) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if not _fits(value):
            raise _refused("integers of at most 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _refused("finite numbers only")
    else:
        raise _refused("dict, list, str, int, float, bool and None only")


def _fits(value: int) -> bool:
    # Not `in range(…)`: that walks the range for a subclass of int, such as an IntEnum.
    return MIN_INTEGER <= value <= MAX_INTEGER


def _refused(wanted: str) -> ValueRefused:
    return ValueRefused(f"an encrypted JSON value takes {wanted}")
