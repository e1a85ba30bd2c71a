"""How the plan of a rotation is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vaultdb.cli.report import plural, print_table

if TYPE_CHECKING:
    from vaultdb.jobs.rewrap import Plan
    from vaultdb.jobs.rotation.data_keys import ScopePlan
    from vaultdb.jobs.rotation.plan import RowsPlan
    from vaultdb.settings.model import Role

STAGES: Mapping[Role, str] = {
    "rotator": "rotates and rewraps",
    "officer": "makes data keys",
    "reencryptor": "verifies and re-encrypts",
}
"""What each role does in a rotation."""


def print_plan(
    kek: Plan | None, rows: RowsPlan | None, missing: Mapping[Role, str | None], workers: int
) -> None:
    """Print what will be done, by whom, and about how long it takes."""
    if kek is not None:
        _print_kek(kek)
    if rows is not None:
        _print_rows(rows, workers)
    for role, problem in missing.items():
        if problem and _needs(role, rows):
            print(f"not here: {role}, who {STAGES[role]}: {problem}")


def plan_as_json(
    kek: Plan | None, rows: RowsPlan | None, missing: Mapping[Role, str | None], workers: int
) -> dict[str, Any]:
    """Return the plan for another program."""
    found: dict[str, Any] = {"kek": None if kek is None else asdict(kek), "rows": None}
    if rows is not None:
        found["rows"] = {
            "scopes": [_scope(each) for each in rows.scopes],
            "blocked": dict(rows.blocked),
            "tables": [
                {
                    "table": each.table.fullname,
                    "columns": each.columns,
                    "rows": each.rows,
                    "triggers": [asdict(trigger) for trigger in each.triggers],
                }
                for each in rows.tables
            ],
            "rows": rows.rows,
            "seconds": round(rows.seconds(workers), 1),
        }
    return {**found, "roles": dict(missing)}


def _needs(role: Role, rows: RowsPlan | None) -> bool:
    return {
        "rotator": True,
        "officer": rows is not None and bool(rows.new_versions),
        "reencryptor": rows is not None,
    }[str(role)]


def _print_kek(agreed: Plan) -> None:
    if agreed.rotates:
        print(f"rotate the KEK, from version {agreed.kek_version} to {agreed.kek_version + 1}")
    elif agreed.stale:
        print(
            f"the KEK is at version {agreed.kek_version} and an earlier rotation is unfinished:"
            " do not rotate it again"
        )
    else:
        print(f"do not rotate the KEK, it stays at version {agreed.kek_version}")
    print(f"rewrap {agreed.rewraps:,} of {plural(agreed.keys, 'data key')}")
    if agreed.unverified:
        print(
            f"{plural(agreed.unverified, 'key')} of the last rotation not verified yet; their"
            " last verified wrapping is kept"
        )


def _print_rows(rows: RowsPlan, workers: int) -> None:
    new = rows.new_versions
    unfinished = [each for each in rows.scopes if each.is_unfinished]
    print(f"make a new version of {plural(len(new), 'data key')}")
    if unfinished:
        print(
            f"finish the rotation of {plural(len(unfinished), 'data key')} without another version"
        )
    time = timedelta(seconds=round(rows.seconds(workers)))
    print(f"re-encrypt {plural(rows.rows, 'row')}, about {time} at 30,000 rows a second and worker")
    tables = [each for each in rows.tables if each.rows]
    if tables:
        lines = [
            (each.table.fullname, f"{each.rows:,}", ", ".join(each.columns)) for each in tables
        ]
        print_table(("table", "rows", "columns"), lines, nothing="")
    for each in tables:
        for trigger in each.triggers:
            print(
                f"trigger {trigger.name} of {each.table.fullname} will fire for every row"
                + (" and may change it" if trigger.before else "")
            )
    for keyset, reason in rows.blocked.items():
        print(f"index keys of keyset {keyset} stay: {reason}")
    for column in rows.found.columns:
        if column.column.problem:
            print(f"not counted: {column.column.place}: {column.column.problem}")


def _scope(each: ScopePlan) -> dict[str, Any]:
    return {
        "tenant": each.scope.tenant,
        "keyset": each.scope.keyset,
        "purpose": each.scope.purpose.value,
        "subject": each.scope.subject,
        "version": each.newest.version,
        "new_version": each.needs_version,
        "rows": each.rows,
    }
