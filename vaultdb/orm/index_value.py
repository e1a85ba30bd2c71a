"""The column type of blind-index values."""

from __future__ import annotations

from typing import Any, final

from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import UserDefinedType

from vaultdb.errors import StatementRefused


class IndexValueComparator(UserDefinedType.Comparator[bytes]):
    """Compares index values with each other, never with what somebody searches for."""

    def operate(self, op: OperatorType, *other: Any, **kwargs: Any) -> Any:
        """Refuse plain values, which would silently match nothing."""
        if any(_is_plain(value) for value in other):
            raise StatementRefused(
                f"{self.expr} is a search index and holds no plain values: compare the encrypted "
                "column itself"
            )
        return super().operate(op, *other, **kwargs)


@final
class IndexValue(UserDefinedType[bytes]):
    """26 bytes of a blind index; a companion column's type.

    Not `LargeBinary`, whose wrapper around each bound value costs more than the value.
    """

    cache_ok = True
    comparator_factory = IndexValueComparator

    @property
    def python_type(self) -> type[bytes]:
        """Bytes."""
        return bytes

    def get_col_spec(self, **_: Any) -> str:
        """Name the column's type; PostgreSQL's is in `vaultdb.orm.ddl`."""
        return "BLOB"

    def __repr__(self) -> str:
        return "IndexValue()"


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple | set | frozenset):
        return any(_is_plain(each) for each in value)
    return isinstance(value, str | int | float)
