"""What the rows of the log's tables are made of, should a superuser have rebuilt the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType, NoneType
from typing import Any, Final
from uuid import UUID

from vaultdb.jobs.audit.verify.findings import MAX_SHOWN, Problem

_INT: Final = frozenset({int})
_TEXT: Final = frozenset({str})
_BYTES: Final = frozenset({bytes})
_UUID: Final = frozenset({UUID})
_NONE: Final = frozenset({NoneType})

_SHAPES: Final[Mapping[str, tuple[frozenset[type], ...]]] = MappingProxyType(
    {
        "chains": (
            *(_UUID, _TEXT, _INT, frozenset({bool})),
            *(_INT | _NONE, _BYTES | _NONE, _TEXT | _NONE),
        ),
        "leaves": (_INT, _BYTES),
        "leaves_without_event": (_INT, _UUID, _INT),
        "checkpoints": (_INT, _INT, _TEXT),
        "epochs": (_INT, _INT, _TEXT),
        "cuts": (_TEXT | _NONE, _INT, _INT | _NONE),
    }
)
"""By query; records are not here, for whatever they are goes into a hash."""

_TABLES: Final = {"chains": "chain", "leaves_without_event": "leaf", "leaves": "leaf"} | {
    "checkpoints": "checkpoint",
    "epochs": "checkpoint",
    "cuts": "cut",
}


class Shapes:
    """Leaves out rows that no process can have stored, and remembers the first of them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def checked(self, name: str, batch: Sequence[Any]) -> Sequence[Any]:
        """Return the rows of a query's batch that are of the types that its tables have."""
        shape = _SHAPES.get(name)
        if shape is None:
            return batch
        columns = zip(shape, zip(*batch, strict=True), strict=True)
        if all(types.issuperset(map(type, column)) for types, column in columns):
            return batch
        return [row for row in batch if self._is_as_made(name, shape, row)]

    def _is_as_made(self, name: str, shape: tuple[frozenset[type], ...], row: Any) -> bool:
        if all(type(value) in types for types, value in zip(shape, row, strict=True)):
            return True
        if len(self.problems) < MAX_SHOWN:
            self.problems.append(_strange(name, row))
        return False


def _strange(name: str, row: Any) -> Problem:
    what = f"a row of vaultdb_audit.{_TABLES[name]} holds what cannot be stored there as it is made"
    chain = next((value for value in row if type(value) is UUID), None)
    index = row[0] if name.startswith("leaves") and type(row[0]) is int else None
    return Problem("changed", what, chain, index=index)
