"""Writers that add one to encrypted counters, and a rotation as one would first write it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Select, select
from sqlalchemy.orm.attributes import flag_modified

from tests.chaos.rotating import session_of
from tests.chaos.rotating_models import Counter

ROWS = 5_000
ROUNDS = 10
WRITERS = 2
"""5,000 rows, each incremented ten times by each of two processes: 100,000 increments."""
SLICE = 50
NAIVE_SLICE = 500


def increment(settings_files: list[Path]) -> None:
    """Add one to every counter of each database, again and again, each under a lock of its row."""
    with ExitStack() as opened:
        sessions = [opened.enter_context(session_of(file)) for file in settings_files]
        for _ in range(ROUNDS):
            starts = list(range(0, ROWS, SLICE))
            random.shuffle(starts)
            for start in starts:
                for session in sessions:
                    for row in session.scalars(_slice(start, SLICE).with_for_update()):
                        row.count += 1
                    session.commit()
                    session.expunge_all()


@contextmanager
def naive_rotation(settings_file: Path) -> Iterator[list[int]]:
    """Read rows and write them back under the newest key until the block ends."""
    stop, changed = threading.Event(), []

    def loop() -> None:
        with session_of(settings_file) as session:
            while not stop.is_set():
                for start in range(0, ROWS, NAIVE_SLICE):
                    rows = session.scalars(_slice(start, NAIVE_SLICE)).all()
                    for row in rows:
                        flag_modified(row, "count")
                    session.commit()
                    session.expunge_all()
                    changed.append(len(rows))
                    if stop.wait(0.5):
                        break

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield changed
    finally:
        stop.set()
        thread.join()


def _slice(start: int, size: int) -> Select[tuple[Counter]]:
    within = (Counter.id >= start, Counter.id < start + size)
    return select(Counter).where(*within).order_by(Counter.id)
