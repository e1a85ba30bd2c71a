"""Run the benchmarks and print one table: ``python -m tests.bench [--only NAME …] [--json]``."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys

from rich.console import Console

from tests.bench.report import as_rows, render

SUITES = (
    "imports",
    "crypto",
    "orm",
    "sorting",
    "rewrap",
    "stream",
    "roles",
    "bulk",
    "reencrypt",
    "audit",
    "audit_verify",
)


def main() -> int:
    """Return 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SUITES, default=SUITES, metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print rows instead of a table")
    options = parser.parse_args()
    progress = Console(stderr=True)
    measurements = []
    for name in options.only:
        progress.print(f"measuring {name} …")
        measurements += importlib.import_module(f"tests.bench.{name}").run()
    if options.json:
        print(json.dumps(as_rows(measurements), indent=2))
    else:
        console = Console(width=110)
        console.print(f"Python {platform.python_version()}, {platform.machine()}")
        render(measurements, console)
    return 0 if all(m.met is not False for m in measurements) else 1


if __name__ == "__main__":
    sys.exit(main())
