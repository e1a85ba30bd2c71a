"""How jobs are shown: a line, a bar with rate and time left, an object per line for machines."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from vaultdb.jobs.work.job import Job, Progress

TITLES = ("job", "kind", "target", "state", "done", "rows", "rate", "left", "quarantined")


def job_as_json(job: Job, progress: Progress) -> dict[str, Any]:
    """Return a job and how far it has come, for another program."""
    return {
        "id": job.id,
        "kind": job.kind,
        "target": job.target,
        "state": job.state,
        "spec": dict(job.spec),
        "created_by": job.created_by,
        "created_at": job.created_at.isoformat(),
        "changed_at": job.changed_at.isoformat(),
        "passes": job.passes,
        **asdict(progress),
    }


def print_line(job: Job, progress: Progress) -> None:
    """Print one line of JSON, at once."""
    print(json.dumps(job_as_json(job, progress), default=str), flush=True)


def row_of(job: Job, progress: Progress) -> tuple[object, ...]:
    """Return a job as a row under `TITLES`."""
    share = 100 if not job.state.is_open else _percent(progress)
    return (
        job.id,
        job.kind,
        job.target,
        job.state,
        f"{share} %",
        f"{progress.changed:,}",
        f"{progress.rate:,.0f}/s",
        seconds_text(progress.eta) if job.state.is_open else "-",
        progress.quarantined,
    )


def seconds_text(seconds: float | None) -> str:
    """Return a time to wait as h:mm:ss."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _percent(progress: Progress) -> int:
    return min(99, int(100 * progress.done / max(progress.estimated, 1)))


class JobBar:
    """A bar on stderr, only where somebody watches a terminal.

    Args:
        hidden: show nothing.

    """

    def __init__(self, *, hidden: bool = False) -> None:
        self._hidden = hidden
        self._opened = ExitStack()
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def show(self, job: Job, progress: Progress) -> None:
        """Show how far a job has come."""
        if self._hidden:
            return
        bar = self._bar or self._open()
        if bar is None:
            return
        text = f"{job.kind} {job.target}"
        if self._task is None:
            self._task = bar.add_task(text, total=max(progress.estimated, 1), rate="")
        rate = f"{progress.rate:,.0f} rows/s, {seconds_text(progress.eta)} left"
        bar.update(
            self._task,
            completed=progress.done,
            total=max(progress.estimated, progress.done, 1),
            rate=rate,
        )

    def close(self) -> None:
        """Take the bar away."""
        self._opened.close()
        self._bar = self._task = None

    def _open(self) -> RichProgress | None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        if not console.is_terminal:
            self._hidden = True
            return None
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
        )
        self._bar = self._opened.enter_context(Bar(*columns, console=console))
        return self._bar
