"""Memory while a million encrypted rows are streamed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter

from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from tests.bench.database import Base, bench_database
from tests.bench.report import Measurement
from vaultdb import encrypted

ROWS = 1_000_000
WARM_UP = 100_000
BATCH = 10_000
ALLOWED_MIB = 5.0


class Streamed(Base):
    """One key and one encrypted value of 32 bytes."""

    __tablename__ = "streamed"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[bytes] = encrypted(bytes)


def run(repetitions: int = 1, rows: int = ROWS) -> list[Measurement]:
    """Fill a table, stream it, and compare resident memory early and at the end."""
    del repetitions  # a million rows are long enough to look once
    with bench_database() as database:
        _fill(database.encrypting, rows)
        gc.collect()
        with Session(database.encrypting) as session:
            values = iter(session.scalars(select(Streamed.value).execution_options(yield_per=1000)))
            start = perf_counter()
            count = _exhaust(islice(values, WARM_UP))
            early = _resident_mib()
            count += _exhaust(values)
            seconds = perf_counter() - start
            late = _resident_mib()
    assert count == rows
    return [
        Measurement(
            f"memory growth, streaming {rows:,} rows", late - early, "MiB", target=ALLOWED_MIB
        ),
        Measurement(f"stream {rows:,} rows", seconds, "s"),
    ]


def _fill(engine: Engine, rows: int) -> None:
    with engine.begin() as connection:
        for first in range(0, rows, BATCH):
            connection.execute(
                insert(Streamed),
                [{"id": i, "value": i.to_bytes(32)} for i in range(first, first + BATCH)],
            )


def _exhaust(values: Iterator[bytes]) -> int:
    return sum(1 for _ in values)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20
