"""Fixture ``report``: what each test under load served and failed, as a table at the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.load import Outcome
from vaultdb.db.login.leased import LeaseCounters

Report = Callable[[str, Outcome, LeaseCounters], None]
_HEAD = ("under load", "served", "failed", "p50 ms", "p99 ms", "logins", "renewals", "forced")
_rows: list[tuple[str, ...]] = []


@pytest.fixture
def report() -> Report:
    """Take down a line of the table."""

    def add(name: str, outcome: Outcome, counters: LeaseCounters) -> None:
        _rows.append(
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _rows:
        return
    terminalreporter.section("transactions")
    widths = [max(len(row[place]) for row in (_HEAD, *_rows)) for place in range(len(_HEAD))]
    for row in (_HEAD, *_rows):
        first, *rest = (
            cell.ljust(w) if not i else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        terminalreporter.write_line("  ".join((first, *rest)))
