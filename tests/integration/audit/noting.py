"""Events for the tests of writing: notes, and how they are read back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.fixtures.postgres import Database
from tests.integration.audit.conftest import Log
from vaultdb.audit import own_kind
from vaultdb.audit.event import Event
from vaultdb.db.auditlog.auditor import PostgresAuditor
from vaultdb.guard.principal import Acting
from vaultdb.orm.runtime import runtime_of

NOTE = own_kind(10_001, "test.noted", "A test noted something.", ("note",))
JONES = Acting("dr-jones", tenant="clinic", purpose="treatment", request="r-1")

MakeEngine = Callable[..., Engine]


def noted(note: Any) -> Event:
    return Event(NOTE, {"note": note}, JONES)


def notes(log: Log) -> list[str]:
    return [body["note"] for body in log.bodies("test.noted")]


def auditor_of(engine: Engine | AsyncEngine) -> PostgresAuditor:
    auditor = runtime_of(engine.dialect).auditor
    assert isinstance(auditor, PostgresAuditor)
    return auditor


def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each round trip of psycopg's, of all connections."""
    found: list[int] = []
    wait = psycopg.Connection.wait

    def counting(self: Any, steps: Any, *args: Any, **kwargs: Any) -> Any:
        def counted() -> Generator[Any, Any, Any]:
            asked = False
            try:
                wanted = next(steps)
                while True:
                    if not asked:
                        found.append(1)
                    asked = True
                    wanted = steps.send((yield wanted))
            except StopIteration as stop:
                return stop.value

        return wait(self, counted(), *args, **kwargs)

    monkeypatch.setattr(psycopg.Connection, "wait", counting)
    return found


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Do work in threads, each with its number, and let it fail here."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        raise failure


def wait_until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def revoked(database: Database) -> Iterator[None]:
    """Take the right to write the log away for a while."""
    with database.connect() as connection:
        rights = "INSERT (chain, seq, at, body, mac) ON vaultdb_audit.event"
        connection.execute(f"REVOKE {rights} FROM vaultdb_rw")
        yield
        connection.execute(f"GRANT {rights} TO vaultdb_rw")
