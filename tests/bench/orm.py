"""Writing and reading 20,000 rows with three encrypted columns, against the same rows in the clear.

Both go to the same server in the same run, each repetition in turns. The keys are warm. Tables are
emptied before each insert; the transaction is committed inside the timing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, insert, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from tests.bench.database import Base, BenchDatabase, bench_database
from tests.bench.report import Measurement, compare
from vaultdb import encrypted

ROWS = 20_000
VALUE = "x" * 30  # 32 bytes with the frame's two


class Plain(Base):
    """A UUID key, an integer and three texts."""

    __tablename__ = "bench_plain"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    number: Mapped[int]
    a: Mapped[str]
    b: Mapped[str]
    c: Mapped[str]


class Secret(Base):
    """The same, encrypted and bound to the row."""

    __tablename__ = "bench_secret"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    number: Mapped[int]
    a: Mapped[str] = encrypted(str, pad=None)
    b: Mapped[str] = encrypted(str, pad=None)
    c: Mapped[str] = encrypted(str, pad=None)


def run(repetitions: int = 7) -> list[Measurement]:
    """Insert in bulk, add objects, read everything."""
    with bench_database() as database:
        return [
            _compare(database, "ORM bulk insert", _bulk_insert, 1.4, repetitions),
            _compare(database, "add_all", _add_all, 1.15, repetitions),
            _compare(database, "read all", _read_all, 1.75, repetitions),
        ]


def _compare(
    database: BenchDatabase,
    name: str,
    work: Callable[[Engine, type[Any]], float],
    target: float,
    repetitions: int,
) -> Measurement:
    return compare(
        f"{name}, {ROWS:,} rows of 3 encrypted columns",
        lambda: work(database.encrypting, Secret),
        lambda: work(database.plain, Plain),
        target=target,
        repetitions=repetitions,
    )


def _rows() -> list[dict[str, Any]]:
    return [{"number": n, "a": VALUE, "b": VALUE, "c": VALUE} for n in range(ROWS)]


def _emptied(engine: Engine, model: type[Any]) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {model.__tablename__}"))


def _bulk_insert(engine: Engine, model: type[Any]) -> float:
    _emptied(engine, model)
    rows = _rows()
    with Session(engine) as session:
        start = perf_counter()
        session.execute(insert(model), rows)
        session.commit()
        return perf_counter() - start


def _add_all(engine: Engine, model: type[Any]) -> float:
    _emptied(engine, model)
    objects = [model(**row) for row in _rows()]
    with Session(engine) as session:
        start = perf_counter()
        session.add_all(objects)
        session.commit()
        return perf_counter() - start


def _read_all(engine: Engine, model: type[Any]) -> float:
    with Session(engine) as session:
        start = perf_counter()
        found = sum(1 for each in session.scalars(select(model)) if each.c == VALUE)
        seconds = perf_counter() - start
    assert found == ROWS
    return seconds
