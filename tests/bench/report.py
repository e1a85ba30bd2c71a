"""What a benchmark reports: two timings of one run and the ratio that is promised."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of the table.

    Args:
        name: what was timed.
        measured: the median of vaultdb's repetitions, in *unit*.
        baseline: the median of the same work without vaultdb, in *unit*; None when absolute.
        unit: such as "µs" or "s".
        ratio: the median of the ratios of the repetitions, each within one repetition.
        target: the promised upper limit of the ratio, or of *measured* without a baseline.
    """

    name: str
    measured: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Tell whether the promise held, or None when nothing was promised."""
        if self.target is None:
            return None
        return (self.measured if self.ratio is None else self.ratio) <= self.target


def compare(
    name: str,
    measured: Callable[[], float],
    baseline: Callable[[], float],
    *,
    target: float | None,
    repetitions: int = 7,
    unit: str = "s",
    scale: float = 1.0,
) -> Measurement:
    """Time two functions in turns, so that a drift of the machine hits both alike.

    Each function returns its own duration in seconds; *scale* turns that into *unit*.
    """
    pairs = []
    for repetition in range(repetitions):
        if repetition % 2:
            second, first = measured(), baseline()
        else:
            first, second = baseline(), measured()
        pairs.append((second, first))
    return Measurement(
        name,
        statistics.median(m for m, _ in pairs) * scale,
        unit,
        statistics.median(b for _, b in pairs) * scale,
        statistics.median(m / b for m, b in pairs),
        target,
    )


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Wrap *work* so that calling it returns its duration in seconds."""

    def run() -> float:
        start = perf_counter()
        work()
        return perf_counter() - start

    return run


def render(measurements: Sequence[Measurement], console: Console) -> None:
    """Print the table."""
    table = Table("what", "vaultdb", "without", "unit", "ratio", "promised", "met")
    for m in measurements:
        table.add_row(
            m.name,
            f"{m.measured:.3g}",
            "" if m.baseline is None else f"{m.baseline:.3g}",
            m.unit,
            "" if m.ratio is None else f"{m.ratio:.2f}",
            "" if m.target is None else f"{m.target:g}",
            {None: "", True: "yes", False: "NO"}[m.met],
        )
    console.print(table)


def as_rows(measurements: Sequence[Measurement]) -> list[dict[str, object]]:
    """Return the measurements as plain rows for JSON."""
    return [asdict(m) | {"met": m.met} for m in measurements]
