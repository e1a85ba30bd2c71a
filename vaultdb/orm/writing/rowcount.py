"""A check after an UPDATE: one parameter set names one row, so it cannot have changed two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vaultdb.errors import StatementRefused

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, CursorResult


class PinnedParameters(dict[str, Any]):
    """A parameter set of an UPDATE that encrypts for the one row that it names."""

    __slots__ = ()


def check_rowcount(
    _connection: Connection,
    _statement: Any,
    many: Any,
    single: Any,
    _options: Any,
    result: CursorResult[Any],
) -> None:
    """Raise when an encrypting UPDATE matched more rows than it has parameter sets.

    Raises:
        StatementRefused: values were written to a row that they are not bound to.

    """
    sets = many or [single]
    if sets[0].__class__ is not PinnedParameters or result.rowcount <= len(sets):
        return
    result.close()
    raise StatementRefused(
        "an UPDATE of row-bound columns changed more rows than it has keys, and their values "
        "cannot be read: roll the transaction back; the key is not unique in the database"
    )
