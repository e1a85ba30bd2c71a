"""Key columns as the server sends them in binary: for row bindings, for arrays and as text.

A key goes from the server's answer into row bindings and arrays without becoming a Python value.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from vaultdb.crypto.encoding import pack_u32
from vaultdb.crypto.row_binding import FIXED_SIZES, POSTGRESQL_EPOCH, KeyTag, row_binding
from vaultdb.db.packed import BIGINT, BYTEA, DATE, TEXT, UUID, ElementType
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.work.row_keys import column
from vaultdb.orm.key_columns import key_tag

if TYPE_CHECKING:
    from sqlalchemy import Column

    from vaultdb.orm.row_key import RowKey

_FOREVER: Final = {0x7FFFFFFF: "infinity", -0x80000000: "-infinity"}
_JULIAN: Final = 2_451_545
"""The Julian day of 2000-01-01, which PostgreSQL counts dates from."""
_CASTS: Final = {BIGINT.oid: sql.SQL("bigint"), TEXT.oid: sql.SQL("text")}


@dataclass(frozen=True, slots=True)
class KeyForm:
    """How one key column is sent and written down.

    Args:
        name: of the column in the database.
        type: what it is cast to: the form that row bindings have.
        text: from the binary form to PostgreSQL's text form.
        comparable: whether the column itself can be compared with that type.

    """

    name: str
    type: ElementType
    text: Callable[[bytes], str]
    comparable: bool

    @property
    def expression(self) -> sql.Composable:
        """The column of the alias `t`, cast."""
        cast = _CASTS.get(self.type.oid)
        own = column(self.name)
        return own if cast is None else sql.SQL("{}::{}").format(own, cast)


def key_form(key: Column[Any]) -> KeyForm:
    """Return the form of a key column; one that values cannot be bound to goes as text."""
    try:
        tag = key_tag(key)
    except ConfigurationError:
        return KeyForm(key.name, TEXT, bytes.decode, comparable=False)
    return KeyForm(key.name, *_FORMS[tag], comparable=True)


def row_bindings(
    row_key: RowKey | None, names: Sequence[str], keys: Sequence[Sequence[bytes]]
) -> list[bytes]:
    """Return the row binding of each row.

    Args:
        row_key: what values are bound to; None for `bind="column"`.
        names: of the key columns.
        keys: for each of them, its values in all rows, in binary.

    """
    if row_key is None:
        return [b""] * len(keys[0])
    parts = [keys[names.index(key.name)] for key in row_key.columns]
    if len(parts) == 1 and (size := FIXED_SIZES.get(row_key.tags[0])) is not None:
        head = bytes((1, row_key.tags[0])) + pack_u32(size)
        return [head + part for part in parts[0]]
    return [
        row_binding(list(zip(row_key.tags, values, strict=True)))
        for values in zip(*parts, strict=True)
    ]


def _date(days: bytes) -> str:
    number = int.from_bytes(days, "big", signed=True)
    if number in _FOREVER:
        return _FOREVER[number]
    try:
        return date.fromordinal(number + POSTGRESQL_EPOCH).isoformat()
    except (ValueError, OverflowError):  # before year 1 or after 9999
        return f"J{number + _JULIAN}"


_FORMS: Final[dict[KeyTag, tuple[ElementType, Callable[[bytes], str]]]] = {
    KeyTag.INTEGER: (BIGINT, lambda raw: str(int.from_bytes(raw, "big", signed=True))),
    KeyTag.UUID: (UUID, lambda raw: str(uuid.UUID(bytes=raw))),
    KeyTag.TEXT: (TEXT, bytes.decode),
    KeyTag.BYTES: (BYTEA, lambda raw: rf"\x{raw.hex()}"),
    KeyTag.DATE: (DATE, _date),
}
