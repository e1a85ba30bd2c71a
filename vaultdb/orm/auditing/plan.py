"""What a compiled statement is going to decrypt or search; found once per statement."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from vaultdb.orm.probe import ProbeType
from vaultdb.orm.types import Encrypted

INTERNAL: Final = "vaultdb_internal"
"""The execution option of vaultdb's own queries, which release nothing."""
OURS: Final = object()
"""Its value: options may come from outside, and nothing that comes from there is this object."""

_ATTRIBUTE: Final = "_vaultdb_read_plan"
_FINGERPRINT_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """What the audit log says of a statement before it runs; names only.

    Args:
        tables: that are decrypted from or searched.
        columns: that are decrypted, by logical name; none if it only searches.
        searched: columns that are compared by their blind index.
        places: for each row-bound table, where the first of its values stands in a result row.
        fingerprint: 16 hex digits of the SHA-256 of the SQL text.
        is_sensitive: whether one of the columns is declared sensitive.

    """

    tables: tuple[str, ...]
    columns: tuple[str, ...]
    searched: tuple[str, ...]
    places: tuple[tuple[str, int], ...]
    fingerprint: str
    is_sensitive: bool


def read_plan_of(compiled: Any) -> ReadPlan | None:
    """Return what the statement decrypts or searches; None if neither.

    The result columns tell it, also of DML with RETURNING and of selected columns.
    """
    try:
        found: ReadPlan | None = compiled.__dict__[_ATTRIBUTE]
    except KeyError:
        found = _look_at(compiled)
        setattr(compiled, _ATTRIBUTE, found)
    return found


def _look_at(compiled: Any) -> ReadPlan | None:
    results = list(_results(compiled))
    # Also of UPDATE and DELETE: their row count answers, and stays known after a rollback.
    searched = [] if compiled.isinsert else [*dict.fromkeys(_searched(compiled))]
    if not results and not searched:
        return None
    places: dict[str, int] = {}
    for place, type_, table in results:
        if type_.bind != "column":
            places.setdefault(table, place)
    return ReadPlan(
        tables=tuple(dict.fromkeys([*(each[2] for each in results), *map(_table_part, searched)])),
        columns=tuple(dict.fromkeys(each[1].identity.logical_name for each in results)),
        searched=tuple(searched),
        places=tuple(places.items()),
        fingerprint=hashlib.sha256(str(compiled).encode()).hexdigest()[:_FINGERPRINT_SIZE],
        is_sensitive=any(each[1].sensitive for each in results),
    )


def _results(compiled: Any) -> Iterator[tuple[int, Encrypted[Any], str]]:
    for place, entry in enumerate(getattr(compiled, "_result_columns", None) or ()):
        if isinstance(entry.type, Encrypted):
            yield place, entry.type, _table_of(entry)


def _table_of(entry: Any) -> str:
    """Return the table's full name; a value of a subquery or of text names its column only."""
    for each in entry.objects:
        table = getattr(each, "table", None)
        name = getattr(getattr(table, "element", table), "fullname", None)
        if name is not None:
            return str(name)
    return _table_part(entry.type.identity.logical_name)


def _searched(compiled: Any) -> Iterator[str]:
    for bind in getattr(compiled, "binds", {}).values():
        if isinstance(bind.type, ProbeType):
            yield bind.type.searched.identity.logical_name


def _table_part(logical_name: str) -> str:
    return logical_name.rpartition(".")[0]
