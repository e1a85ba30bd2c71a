"""Fixtures ``report`` and ``report_rotation``: what each test saw, in a table at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from tests.chaos.load import Outcome
from tests.chaos.rotating import Counts, Rotating, rotating
from vaultdb.db.login.leased import LeaseCounters

__all__ = ["Rotating", "rotating"]

Report = Callable[[str, Outcome, LeaseCounters], None]
ReportRotation = Callable[[str, Counts], None]
_LEASES = ("under load", "served", "failed", "p50 ms", "p99 ms", "logins", "renewals", "forced")
_ROTATIONS = ("meanwhile", "rows", "changed", "conflicts", "quarantined", "lost", "seconds")
_AUDIT = ("what happened", "what was counted")
_tables: dict[str, list[tuple[str, ...]]] = {
    "transactions": [_LEASES],
    "re-encryption": [_ROTATIONS],
    "audit": [_AUDIT],
}


@pytest.fixture
def report() -> Report:
    """Take down a line of the table of transactions."""

    def add(name: str, outcome: Outcome, counters: LeaseCounters) -> None:
        _tables["transactions"].append(
            (
                name,
                f"{outcome.served:,}",
                str(outcome.failed),
                f"{outcome.percentile(0.5):.1f}",
                f"{outcome.percentile(0.99):.1f}",
                str(counters.issued),
                str(counters.renewed),
                str(counters.forced),
            )
        )

    return add


class ReportAudit(Protocol):
    """Takes down a line of the table of the audit log."""

    def __call__(self, name: str, **counts: int) -> None: ...


@pytest.fixture
def report_audit() -> ReportAudit:
    """Take down a line of the table of the audit log."""

    def add(name: str, **counts: int) -> None:
        counted = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        _tables["audit"].append((name, counted))

    return add


@pytest.fixture
def report_rotation() -> ReportRotation:
    """Take down a line of the table of rotations; lost are updates, or values, that are gone."""

    def add(name: str, counts: Counts) -> None:
        counted = (
            counts.rows,
            counts.changed,
            counts.conflicts,
            counts.quarantined,
            counts.lost,
        )
        cells = ("-" if number is None else f"{number:,}" for number in counted)
        _tables["re-encryption"].append((name, *cells, f"{counts.seconds:.1f}"))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for title, rows in _tables.items():
        if len(rows) > 1:
            _print(terminalreporter, title, rows)


def _print(reporter: pytest.TerminalReporter, title: str, rows: list[tuple[str, ...]]) -> None:
    reporter.section(title)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *rest = (
            cell.ljust(w) if not i else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        reporter.write_line("  ".join((first, *rest)))
