"""What a rotation will do, before it does anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vaultdb.jobs.reencrypt.target import find_target, reencrypt_spec
from vaultdb.jobs.reencrypt.triggers import Trigger, listening_triggers
from vaultdb.jobs.rotation.ages import ages
from vaultdb.jobs.rotation.data_keys import ScopePlan, data_key_plans, without_rotated
from vaultdb.jobs.rotation.index_keys import blocked_keysets, index_plans
from vaultdb.jobs.rotation.selection import Selection, keyset_of, selected
from vaultdb.jobs.rotation.usage import Usage, usage
from vaultdb.keys.wrapped_key import Purpose

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, MetaData, Table

    from vaultdb.keys.wrapped_key import WrappedKey

ROWS_PER_SECOND = 30_000
"""Rows of two encrypted columns that one worker re-encrypts; `make bench` measures it. On a busy
server it is less, and more workers are up to twice as fast."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What becomes of one table.

    Args:
        table: the table.
        columns: the encrypted columns that are meant, as named in the database.
        rows: rows that are to be re-encrypted.
        triggers: that each of them fires.

    """

    table: Table
    columns: tuple[str, ...]
    rows: int
    triggers: tuple[Trigger, ...] = ()


@dataclass(frozen=True, slots=True)
class RowsPlan:
    """The half of a rotation that makes data keys and re-encrypts rows.

    Args:
        selection: what is meant.
        data: the scopes of data keys.
        index: the scopes of index keys that can be exchanged.
        blocked: keysets whose index keys cannot be, with the reason and the remedy.
        tables: the tables with something to do.
        found: the usage that it was planned by.

    """

    selection: Selection
    data: tuple[ScopePlan, ...]
    index: tuple[ScopePlan, ...]
    blocked: Mapping[str, str]
    tables: tuple[TablePlan, ...]
    found: Usage

    @property
    def rows(self) -> int:
        """Rows that are to be re-encrypted."""
        return sum(each.rows for each in self.tables)

    def seconds(self, workers: int) -> float:
        """Return about how long that takes."""
        return self.rows / (ROWS_PER_SECOND * min(workers, 2))

    @property
    def scopes(self) -> tuple[ScopePlan, ...]:
        """Data keys, then index keys."""
        return (*self.data, *self.index)

    @property
    def new_versions(self) -> list[ScopePlan]:
        """The scopes that get a new version."""
        return [each for each in self.scopes if each.needs_version]


def plan_rows(
    connection: Connection,
    metadatas: Sequence[MetaData],
    keys: Sequence[WrappedKey],
    selection: Selection,
    *,
    makes_keys: bool = True,
) -> RowsPlan:
    """Look at keys and rows and decide what to do.

    Args:
        connection: by the rotator's login.
        metadatas: the models.
        keys: all keys of the realm.
        selection: what is meant.
        makes_keys: False leaves out the scopes that would get a new version.

    Raises:
        ConfigurationError: a column of the selection does not exist.

    """
    columns = selected(metadatas, selection)
    chosen = [column for each in columns.values() for column in each]
    keysets = {keyset_of(column) for column in chosen}
    indexed = {keyset_of(column) for column in chosen if column.type.index is not None}  # type: ignore[attr-defined]
    found = usage(connection, metadatas, keys)
    data = data_key_plans(found, selection, keysets)
    blocked = blocked_keysets(metadatas)
    index = index_plans(found, selection, indexed - set(blocked))
    if not makes_keys:
        data, index = ([each for each in plans if each.is_unfinished] for plans in (data, index))
    elif keys:
        aged = ages(connection, keys[0].realm)
        scopes = without_rotated([*data, *index], aged)
        data = [each for each in scopes if each.scope.purpose is Purpose.DATA]
        index = [each for each in scopes if each.scope.purpose is Purpose.INDEX]
    behind = {
        key.key_id
        for each in (*data, *index)
        for key in (*each.older, *([each.newest] if each.needs_version else []))
    }
    tables = _tables(connection, found, columns, behind)
    return RowsPlan(
        selection=selection,
        data=tuple(data),
        index=tuple(index),
        blocked={keyset: why for keyset, why in blocked.items() if keyset in indexed},
        tables=tables,
        found=found,
    )


def _tables(
    connection: Connection,
    found: Usage,
    columns: Mapping[Table, Sequence[Column[Any]]],
    behind: set[bytes],
) -> tuple[TablePlan, ...]:
    rows: dict[tuple[str, str], int] = {}
    for each in found.columns:
        count = sum(number for key_id, number in each.rows.items() if key_id in behind)
        if each.column.declared is not None:
            place = each.column.declared.table
            rows[place] = max(rows.get(place, 0), count)
    plans = []
    for table, members in columns.items():
        names = tuple(column.name for column in members)
        count = rows.get((table.schema or "", table.name), 0)
        triggers = _triggers(connection, table, names) if count else ()
        plans.append(TablePlan(table, names, count, triggers))
    return tuple(plans)


def _triggers(connection: Connection, table: Table, columns: Sequence[str]) -> tuple[Trigger, ...]:
    target = find_target(table.metadata, reencrypt_spec(table, columns=columns))
    return tuple(listening_triggers(connection, target))
