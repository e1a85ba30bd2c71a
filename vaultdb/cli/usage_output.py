"""How `vaultdb keys usage` shows its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vaultdb.cli.report import plural, print_table

if TYPE_CHECKING:
    from vaultdb.jobs.rotation.usage import ColumnUsage, Usage

TITLES = ("tenant", "keyset", "purpose", "version", "state", "key id", "column", "rows")


def print_usage(found: Usage) -> None:
    """Print rows per key and column, then what has no key, an unknown one, or was not counted."""
    rows = sorted(_row(found, each, key_id) for each in found.columns for key_id in each.rows)
    print_table(TITLES, [_shown(row) for row in rows], nothing="no value is under any key")
    for each in found.columns:
        if each.nulls:
            print(f"{each.column.place}: {plural(each.nulls, 'row')} without a value")
        if not each.column.is_declared:
            print(f"{each.column.place}: no model declares it")
        for stored, count in sorted(each.unknown.items()):
            print(
                f"error: {each.column.place}: {plural(count, 'row')} under key {stored.hex()},"
                " which the key table does not have; restore it from a backup of the key table"
            )
        if each.column.problem:
            print(f"not counted: {each.column.place}: {each.column.problem}")


def as_json(found: Usage) -> list[dict[str, Any]]:
    """Return the result for another program, an object per column."""
    return [
        {
            "schema": each.column.place.schema,
            "table": each.column.place.table_name,
            "column": each.column.place.column,
            "purpose": each.column.purpose.value,
            "declared": each.column.is_declared,
            "problem": each.column.problem,
            "nulls": each.nulls,
            "keys": [
                dict(zip(("tenant", "keyset", "subject", "version", "state"), key, strict=True))
                | {"key_id": key_id.hex(), "rows": count}
                for key_id, count in sorted(each.rows.items())
                for key in [_key(found, key_id)]
            ],
            "unknown": [
                {"key_id": stored.hex(), "rows": count}
                for stored, count in sorted(each.unknown.items())
            ],
        }
        for each in found.columns
    ]


def _key(found: Usage, key_id: bytes) -> tuple[str, str, str, int, str]:
    key = found.keys[key_id]
    return key.scope.tenant, key.scope.keyset, key.scope.subject, key.version, key.state.value


def _row(found: Usage, each: ColumnUsage, key_id: bytes) -> tuple[Any, ...]:
    key = found.keys[key_id]
    place = str(each.column.place)
    scope = key.scope
    owner = f"{scope.tenant}/{scope.subject}" if scope.subject else scope.tenant
    names = (owner, scope.keyset, scope.purpose.value)
    return (*names, key.version, key.state.value, key_id.hex(), place, each.rows[key_id])


def _shown(row: tuple[Any, ...]) -> tuple[object, ...]:
    return (row[0] or "-", *row[1:-1], f"{row[-1]:,}")
