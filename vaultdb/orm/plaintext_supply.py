"""Find the plaintext column beside a selected encrypted one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement

from vaultdb.errors import StatementRefused
from vaultdb.orm.adoption import plaintext_of
from vaultdb.orm.lookup import looked_up
from vaultdb.orm.supply import NotSuppliedError, supplied_beside


def plaintext_beside(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the plaintext of the same row: from the inner query, or else by the row's key.

    Args:
        value: an encrypted column that allows plaintext, as its FROM element supplies it.

    Raises:
        StatementRefused: an inner query keeps back both.

    """
    bottom: list[Column[Any]] = []

    def wanted(column: Column[Any]) -> Sequence[Column[Any]]:
        bottom.append(column)
        return [plaintext(column)]

    try:
        found = supplied_beside(value, wanted)
    except NotSuppliedError:
        found = None
    plain = found[0] if found else looked_up(value, bottom, plaintext)
    if plain is None:
        raise StatementRefused(
            f"{value} allows plaintext, which the inner query does not select: select "
            f"{plaintext(bottom[0])} beside it"
        )
    return plain


def plaintext(column: Column[Any]) -> Column[Any]:
    """Return the plaintext column of a table's encrypted column.

    Raises:
        NotSuppliedError: it has none: another table under the same logical name.

    """
    plain = plaintext_of(column)
    if plain is None:
        raise NotSuppliedError(column)
    return plain
