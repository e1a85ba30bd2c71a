"""The parts of a selected value, whose form `bound_value` describes, that are not secret."""

from __future__ import annotations

import struct
from typing import Final

from vaultdb.crypto.envelope import MAGIC

_KEY_ID: Final = slice(2, 18)
_ROW_START: Final = 4
_COMPANION: Final = 0xC1
_COMPANION_SIZE: Final = 27
_TENANT: Final = 0xC2

_row_size = struct.Struct(">I").unpack_from


def row_key_of_value(value: object) -> bytes:
    """Return the row binding that travels with a selected value; empty if there is none."""
    if not isinstance(value, bytes) or len(value) <= _ROW_START or value[0] == MAGIC:
        return b""
    return value[_ROW_START : _ROW_START + _row_size(value)[0]]


def key_id_of_value(value: bytes) -> bytes | None:
    """Return the id of the DEK of a selected value; None if it is not one."""
    try:
        at = 0 if value[0] == MAGIC else _ROW_START + _row_size(value)[0]
        while value[at] != MAGIC:
            if value[at] == _COMPANION:
                at += _COMPANION_SIZE
            elif value[at] == _TENANT:
                at += 5 + int.from_bytes(value[at + 1 : at + 5], "big")
            else:
                return None
        key_id = value[at:][_KEY_ID]
    except (IndexError, struct.error):
        return None
    return key_id if len(key_id) == _KEY_ID.stop - _KEY_ID.start else None
