"""Short transactions from several threads or tasks, counted: served, failed, how long, as whom."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Column, Engine, Identity, MetaData, Table, Text, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

WORKERS = 6
PAUSE = 0.002
"""Seconds between two transactions of a worker."""
PAUSE_AFTER_FAILURE = 0.02

metadata = MetaData()
visit = Table(
    "visit", metadata, Column("id", BigInteger, Identity(), primary_key=True), Column("note", Text)
)
LOGIN = select(func.session_user())
WRITE = visit.insert().values(note="here")
READ = select(func.count()).select_from(visit).where(visit.c.id < 50)


@dataclass
class Outcome:
    """What the workers saw."""

    served: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    users: set[str] = field(default_factory=set)

    @property
    def failed(self) -> int:
        return self.errors.total()

    def percentile(self, share: float) -> float:
        """Return the milliseconds within which this share of transactions ended."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[int(share * (len(ordered) - 1))] if ordered else float("nan")

    def add(self, user: str, seconds: float) -> None:
        self.served += 1
        self.users.add(user)
        self.seconds.append(seconds)

    def merge(self, other: Outcome) -> None:
        self.served += other.served
        self.errors += other.errors
        self.seconds += other.seconds
        self.users |= other.users


def transact(engine: Engine) -> str:
    """Read, write, read in one transaction; return the login."""
    with engine.begin() as connection:
        user = str(connection.scalar(LOGIN))
        connection.execute(WRITE)
        connection.execute(READ)
    return user


async def transact_async(engine: AsyncEngine) -> str:
    """Do the same with an async engine."""
    async with engine.begin() as connection:
        user = str(await connection.scalar(LOGIN))
        await connection.execute(WRITE)
        await connection.execute(READ)
    return user


@contextmanager
def load(engine: Engine, outcome: Outcome, workers: int = WORKERS) -> Iterator[None]:
    """Keep an engine busy from threads while the block runs."""
    over = threading.Event()
    parts = [Outcome() for _ in range(workers)]
    threads = [
        threading.Thread(target=_work, args=(engine, part, over), daemon=True) for part in parts
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
        for part in parts:
            outcome.merge(part)


def _work(engine: Engine, outcome: Outcome, over: threading.Event) -> None:
    while not over.is_set():
        started = time.perf_counter()
        try:
            user = transact(engine)
        except Exception as error:  # noqa: BLE001  # any kind is counted
            outcome.errors[_name(error)] += 1
            over.wait(PAUSE_AFTER_FAILURE)
        else:
            outcome.add(user, time.perf_counter() - started)
            over.wait(PAUSE)


async def load_async(engine: AsyncEngine, seconds: float, workers: int = WORKERS) -> Outcome:
    """Keep an async engine busy from tasks for so many seconds."""
    outcome = Outcome()
    end = time.monotonic() + seconds

    async def work() -> None:
        while time.monotonic() < end:
            started = time.perf_counter()
            try:
                user = await transact_async(engine)
            except Exception as error:  # noqa: BLE001  # any kind is counted
                outcome.errors[_name(error)] += 1
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
            else:
                outcome.add(user, time.perf_counter() - started)
                await asyncio.sleep(PAUSE)

    await asyncio.gather(*(work() for _ in range(workers)))
    return outcome


def _name(error: BaseException) -> str:
    original: Any = getattr(error, "orig", None) or error
    state = getattr(original, "sqlstate", None) or str(original).strip().splitlines()[-1][-70:]
    return f"{type(original).__name__} {state}"
