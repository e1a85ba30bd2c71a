"""ORDER BY … LIMIT over large encrypted values: only the rows that are returned may be fetched."""

from __future__ import annotations

import os
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, insert, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from tests.bench.database import Base, bench_database
from tests.bench.report import Measurement, compare
from vaultdb import encrypted

ROWS = 50_000
VALUE_SIZE = 4096  # bytes; incompressible, as ciphertext is
BATCH = 1000
QUERIES = 20


class PlainPage(Base):
    """A key, a number to sort by, and 4 KB."""

    __tablename__ = "bench_plain_page"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rank: Mapped[int]
    body: Mapped[bytes]


class SecretPage(Base):
    """The same, encrypted and bound to the row."""

    __tablename__ = "bench_secret_page"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rank: Mapped[int]
    body: Mapped[bytes] = encrypted(bytes)


def run(repetitions: int = 7) -> list[Measurement]:
    """Fill both tables, then read the first 20 by rank in turns."""
    with bench_database() as database:
        _fill(database.encrypting, SecretPage)
        _fill(database.plain, PlainPage)
        return [
            compare(
                f"ORDER BY … LIMIT 20 over {ROWS:,} rows of 4 KB",
                lambda: _first_pages(database.encrypting, SecretPage),
                lambda: _first_pages(database.plain, PlainPage),
                target=1.5,
                repetitions=repetitions,
                unit="ms",
                scale=1e3 / QUERIES,
            )
        ]


def _fill(engine: Engine, model: type[Any]) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(f"ALTER TABLE {model.__tablename__} ALTER body SET STORAGE EXTERNAL")
        )
        for first in range(0, ROWS, BATCH):
            connection.execute(
                insert(model),
                [
                    {"id": i, "rank": i * 7919 % ROWS, "body": os.urandom(VALUE_SIZE)}
                    for i in range(first, first + BATCH)
                ],
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM ANALYZE {model.__tablename__}"))


def _first_pages(engine: Engine, model: type[Any]) -> float:
    statement = select(model).order_by(model.rank).limit(20)
    start = perf_counter()
    for _ in range(QUERIES):
        with Session(engine) as session:
            assert len(session.scalars(statement).all()) == 20
    return perf_counter() - start
