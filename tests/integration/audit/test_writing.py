"""Events get into the log by two ways: with the transaction, or on the log's own connections."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from tests.integration.audit.conftest import Log
from vaultdb.audit import own_kind
from vaultdb.audit.event import Event
from vaultdb.audit.kinds import DATA_READ
from vaultdb.guard.principal import Acting
from vaultdb.orm.runtime import runtime_of

NOTE = own_kind(10_001, "test.noted", "A test noted something.", ("note",))
JONES = Acting("dr-jones", tenant="clinic", purpose="treatment", request="r-1")

MakeEngine = Callable[..., Engine]


def noted(note: str | int) -> Event:
    return Event(NOTE, {"note": note}, JONES)


def notes(log: Log) -> list[str]:
    return [body["note"] for body in log.bodies("test.noted")]


@pytest.fixture
def engine(audited_engine: MakeEngine) -> Engine:
    return audited_engine()


def test_a_committed_event_says_who_did_what_and_as_whom(engine: Engine, log: Log) -> None:
    runtime_of(engine.dialect).auditor.commit(
        Event(DATA_READ, {"id": "1", "tables": ["public.t"]}, JONES)
    )
    (body,) = log.bodies("data.read")
    assert body == {
        "v": 1,
        "no": 2000,
        "event": "data.read",
        "login": "vaultdb_app",
        "principal": "dr-jones",
        "purpose": "treatment",
        "tenant": "clinic",
        "request": "r-1",
        "id": "1",
        "tables": ["public.t"],
    }
    (opening,) = log.openings()
    assert (opening.role, opening.login) == ("app", "vaultdb_app")
