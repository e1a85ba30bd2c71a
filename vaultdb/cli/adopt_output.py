"""How `vaultdb adopt` shows its results; no value is ever among them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vaultdb.cli.report import plural, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vaultdb.jobs.adopt.comparison import Comparison
    from vaultdb.jobs.adopt.leftovers.status import Status
    from vaultdb.jobs.work.job import JobResult
    from vaultdb.jobs.work.task import Key, Quarantined

SHOWN = 10
"""Rows named one by one; the rest is counted."""
_MIB = 1 << 20


def print_rows(rows: Sequence[tuple[Key, str]], total: int) -> None:
    """Name rows and what is wrong with them."""
    for key, reason in rows[:SHOWN]:
        print(f"row {', '.join(key)}: {reason}")
    if total > SHOWN:
        print(f"and {total - min(SHOWN, len(rows)):,} more")


def print_result(what: str, result: JobResult, bad: Sequence[Quarantined]) -> None:
    """Say what a job did."""
    print(f"{what} {plural(result.changed, 'row')}, {result.remaining:,} left; job {result.job.id}")
    print_rows([(each.key, each.reason) for each in bad], result.quarantined)


def result_as_json(result: JobResult, bad: Sequence[Quarantined]) -> dict[str, Any]:
    """Return what a job did."""
    return {
        "job": result.job.id,
        "state": result.job.state.value,
        "changed": result.changed,
        "conflicts": result.conflicts,
        "remaining": result.remaining,
        "quarantined": [asdict(each) for each in bad],
    }


def print_comparison(found: Comparison) -> None:
    """Say how many rows differ, and which."""
    print(f"compared {plural(found.compared, 'row')}, {found.different:,} differ")
    print_rows(found.keys, found.different)


def comparison_as_json(found: Comparison) -> dict[str, Any]:
    """Return the comparison."""
    keys = [{"key": key, "reason": reason} for key, reason in found.keys]
    return {"compared": found.compared, "different": found.different, "rows": keys}


def print_status(found: Status) -> None:
    """Say where how many of the samples are readable, and where nobody has looked."""
    print(f"looked for {plural(found.samples, 'value')}")
    if found.too_short:
        print(
            f"{plural(found.too_short, 'value')} too short to be told from chance, not looked for"
        )
    rows = [
        (each.kind, each.name, f"{each.size / _MIB:.1f}", each.values, each.occurrences)
        for each in found.found
        if each.values or each.kind != "elsewhere"
    ]
    print_table(("place", "name", "MiB", "values", "times"), rows, nothing="no place")
    if found.erased_at is not None:
        print(f"erased on {found.erased_at:%Y-%m-%d %H:%M}")
    for line in found.unseen:
        print(f"not looked into: {line}")
    print("readable" if found.is_readable else "nothing was found in what was looked into")


def status_as_json(found: Status) -> dict[str, Any]:
    """Return what was found."""
    return {**asdict(found), "readable": found.is_readable}
