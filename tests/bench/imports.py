"""How long a fresh interpreter takes to import vaultdb."""

from __future__ import annotations

import statistics
import subprocess
import sys

from tests.bench.report import Measurement

SCRIPT = """
from time import perf_counter
start = perf_counter()
import vaultdb
print(perf_counter() - start)
"""


def run(repetitions: int = 7) -> list[Measurement]:
    """Import vaultdb in *repetitions* fresh interpreters."""
    seconds = [
        float(
            subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True).stdout
        )
        for _ in range(repetitions)
    ]
    return [Measurement("import vaultdb", statistics.median(seconds), "s", target=0.5)]
