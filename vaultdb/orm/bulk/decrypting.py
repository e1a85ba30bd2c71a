"""Decrypting many rows, column by column, for analytics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import Table, inspect, select
from sqlalchemy.orm import Mapper

from vaultdb.errors import ConfigurationError, StatementRefused

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import Session

BATCH_ROWS: Final = 10_000
"""Rows in memory at a time."""


@dataclass(frozen=True, slots=True)
class DecryptedBatch:
    """Some rows, column by column; secret.

    Args:
        columns: by name, in the statement's order, lists of one length. SQLAlchemy numbers names
            that come twice: `id`, `id_1`.

    """

    columns: Mapping[str, list[Any]] = field(repr=False)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def to_arrow(self, schema: Any = None) -> Any:
        """Return the rows as a `pyarrow.RecordBatch`, for `vaultdb[arrow]`.

        UUIDs and members of enums become text, documents JSON.

        Args:
            schema: a `pyarrow.Schema`; give it for more than one batch, since a batch whose values
                are all NULL does not tell the type.

        Raises:
            ConfigurationError: pyarrow is not installed.

        """
        try:
            arrow = import_module("pyarrow")  # optional, and large
        except ImportError:
            raise ConfigurationError("pyarrow is missing; install vaultdb[arrow]") from None
        values = {name: _plain(column) for name, column in self.columns.items()}
        return arrow.RecordBatch.from_pydict(values, schema=schema)


def bulk_decrypt(
    session: Session | Connection, statement: Any, *, batch_rows: int = BATCH_ROWS
) -> Iterator[DecryptedBatch]:
    """Decrypt the rows of a statement in batches of columns, with flat memory.

    The rows come through a cursor on the server. A batch goes to pandas with
    `pandas.DataFrame(batch.columns)`, to Arrow with `batch.to_arrow()`.

    Args:
        session: a Session or a Connection of a prepared engine, used until the last batch.
        statement: a `select()` of columns, or a mapped class or a Table for all its columns.
        batch_rows: how many rows are in memory at a time.

    Yields:
        the batches, none of them empty.

    Raises:
        StatementRefused: the statement selects whole objects.
        DecryptionError: a value is not what was encrypted for its row.
        KeyUnavailable, KeyDenied: a key cannot be had.

    """
    if batch_rows < 1:
        raise ConfigurationError("batch_rows is the number of rows in memory: at least 1")
    query = _columns_of(statement)
    result = session.execute(query, execution_options={"yield_per": batch_rows})
    return _batches(result, list(result.keys()))


def _batches(result: Any, names: Sequence[str]) -> Iterator[DecryptedBatch]:
    with result:
        for rows in result.partitions():
            yield DecryptedBatch(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _columns_of(statement: Any) -> Any:
    if isinstance(statement, Table):
        return select(*statement.c)
    if isinstance(statement, type):
        mapper: Any = inspect(statement, raiseerr=False)
        if isinstance(mapper, Mapper):
            attributes = [getattr(statement, each.key) for each in mapper.column_attrs]
            return select(*attributes)
    descriptions = getattr(statement, "column_descriptions", None)
    if descriptions is None:
        raise ConfigurationError("bulk_decrypt() takes a select(), a mapped class or a Table")
    for each in descriptions:
        if each.get("entity") is not None and each["expr"] is each["entity"]:
            raise StatementRefused(
                f"the statement selects whole {each['name']} objects: select their columns, or give"
                " the class itself"
            )
    return statement


def _plain(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    convert = next((c for kind, c in _CONVERTED if any(issubclass(k, kind) for k in kinds)), None)
    if convert is None:
        return values
    return [None if value is None else convert(value) for value in values]


_CONVERTED: Final[Sequence[tuple[type | tuple[type, ...], Callable[[Any], Any]]]] = (
    (UUID, str),
    (Enum, lambda member: member.name),
    ((dict, list), json.dumps),
)
