"""Reading on SQLite, for users' tests: what PostgreSQL does in SQL is a Python function there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any
from uuid import UUID

from vaultdb.crypto.encoding import pack_u32
from vaultdb.crypto.row_binding import KeyTag, encode_key_part, row_binding
from vaultdb.orm.bound_value_sql import SQLITE_COMPANION, SQLITE_FUNCTION, SQLITE_TENANT
from vaultdb.orm.plaintext import SQLITE_PLAINTEXT, marked_on_sqlite
from vaultdb.orm.sections import COMPANION, TENANT


def register_functions(connection: Any) -> None:
    """Give a new SQLite connection the functions that encrypted columns need.

    Args:
        connection: a `sqlite3.Connection`, or SQLAlchemy's adapter of an asynchronous one.

    """
    connection.create_function(SQLITE_FUNCTION, -1, bind_row)
    connection.create_function(SQLITE_PLAINTEXT, 1, marked_on_sqlite)


def bind_row(tags: str, value: bytes | None, *columns: Any) -> bytes | None:
    """Build what `vaultdb.bind_row` and its arguments build on PostgreSQL.

    Args:
        tags: one character for each of `columns`: a key tag, `c` or `t`.
        value: the envelope.
        columns: key columns, index value and tenant column as SQLite stores them.

    """
    if value is None:
        return None
    keys = [
        (KeyTag(int(tag)), column)
        for tag, column in zip(tags, columns, strict=True)
        if tag.isdigit()
    ]
    row = b"" if None in [key for _, key in keys] else _row(keys)
    return pack_u32(len(row)) + row + b"".join(_sections(tags, columns)) + value


def _row(keys: list[tuple[KeyTag, Any]]) -> bytes:
    if not keys:
        return b""
    return row_binding([(tag, encode_key_part(tag, _loaded(tag, key))) for tag, key in keys])


def _loaded(tag: KeyTag, stored: Any) -> Any:
    if tag is KeyTag.UUID:
        return UUID(stored)
    return date.fromisoformat(stored) if tag is KeyTag.DATE else stored


def _sections(tags: str, columns: tuple[Any, ...]) -> Iterator[bytes]:
    for tag, column in zip(tags, columns, strict=True):
        if tag == SQLITE_COMPANION:
            yield bytes((COMPANION,)) + (column or b"")
        elif tag == SQLITE_TENANT:
            tenant = str("" if column is None else column).encode()
            yield bytes((TENANT,)) + pack_u32(len(tenant)) + tenant
