"""The column type of blind-index values."""

from __future__ import annotations

from typing import Any, final

from sqlalchemy.types import UserDefinedType


@final
class IndexValue(UserDefinedType[bytes]):
    """26 bytes of a blind index; a companion column's type.

    Not ``LargeBinary``, whose wrapper around each bound value costs more than the value.
    """

    cache_ok = True

    @property
    def python_type(self) -> type[bytes]:
        """Bytes."""
        return bytes

    def get_col_spec(self, **_: Any) -> str:
        """Name the column's type; PostgreSQL's is in `vaultdb.orm.ddl`."""
        return "BLOB"

    def __repr__(self) -> str:
        return "IndexValue()"
