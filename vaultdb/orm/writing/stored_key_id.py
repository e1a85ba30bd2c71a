"""The id of the DEK that a stored value is encrypted with, read by the server from its envelope."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, LargeBinary
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

_START = 3
_SIZE = 16


class StoredKeyId(ColumnElement[bytes]):
    """16 bytes of an encrypted column's value, NULL where that is.

    Args:
        column: the encrypted column.

    """

    __visit_name__ = "vaultdb_stored_key_id"
    inherit_cache = True
    _traverse_internals = [("column", InternalTraversal.dp_clauseelement)]  # noqa: RUF012
    type = LargeBinary()

    def __init__(self, column: Column[Any]) -> None:
        self.column = column


@compiles(StoredKeyId)
def _render(element: StoredKeyId, compiler: SQLCompiler, **_kw: Any) -> str:
    # Past the compiler that refuses encrypted columns in expressions: nothing is decrypted here.
    name = SQLCompiler.visit_column(compiler, element.column)
    return f"substr({name}, {_START}, {_SIZE})"
