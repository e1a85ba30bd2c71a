"""Writing the plaintext column that an encrypted one adopts: the same value, or NULL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, null

from vaultdb.errors import StatementRefused
from vaultdb.orm.writing.values import is_expression

if TYPE_CHECKING:
    from vaultdb.orm.writing.table import EncryptedColumn
    from vaultdb.orm.writing.write import Row, Write


def fill_plaintext(rows: Sequence[Row], column: EncryptedColumn) -> None:
    """Give each row what its encrypted column gets, before that is encrypted, or NULL.

    Raises:
        StatementRefused: the caller wrote something else into the plaintext column.

    """
    assert column.plain is not None
    key, plain = column.key, column.plain.key
    # None would be JSON's null in such a column, which is not NULL.
    nothing: Any = null() if isinstance(column.plain.type, JSON) else None
    is_emptied = not column.type.allows_plaintext
    for row in rows:
        value = None if is_emptied else row[key]
        given = row.get(plain)
        if given is not None and (is_expression(given) or given != value):
            raise plaintext_refusal(column)
        row[plain] = nothing if value is None else value


def refuse_plaintext_alone(
    write: Write, rows: Sequence[Row], written: Collection[EncryptedColumn]
) -> None:
    """Refuse plaintext without its ciphertext, which would be of another value from then on.

    Raises:
        StatementRefused: names what to write instead.

    """
    for key, column in write.table.adopted.items():
        if column not in written and key in rows[0]:
            # The ORM inserts None for what an object does not have.
            if write.statement.is_insert and all(row.get(key) is None for row in rows):
                continue
            raise plaintext_refusal(column)


def plaintext_refusal(column: EncryptedColumn) -> StatementRefused:
    """Return the error for a caller who writes the plaintext column."""
    return StatementRefused(
        f"{column.plain} is written by vaultdb together with {column.column}: write only that"
    )
