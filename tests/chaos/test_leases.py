"""Leased logins change, vanish and cannot be renewed, and transactions go on."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool

import vaultdb
from tests.chaos.conftest import Report
from tests.chaos.load import WORKERS, Outcome, load, load_async, metadata
from tests.fixtures.leasing import Leasing
from vaultdb.db.connect import new_engine
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.login.leased import LeaseCounters, LeasedLogin
from vaultdb.settings import Settings

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

SHORT = {"ttl": "5s", "max_ttl": "9s"}
OVERLAP = {"lease_overlap": 3.0}
# What a statement meets whose session is ended while it runs, or just before it is sent.
CUT = {"AdminShutdown 57P01"}


@pytest.fixture(autouse=True)
def table(database: Any) -> None:
    database.create_all(metadata)


class Leased:
    """An engine and the counters of its leases."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self.credentials = Credentials(settings)
        self.engine: Engine = new_engine(settings, credentials=self.credentials, **options)

    @property
    def counters(self) -> LeaseCounters:
        login = self.credentials.login
        assert isinstance(login, LeasedLogin)
        return login.counters

    def close(self) -> None:
        self.engine.dispose()
        self.credentials.close()


@pytest.fixture
def leased() -> Iterator[Any]:
    made: list[Leased] = []

    def make(settings: Settings, **options: Any) -> Leased:
        pool = {} if "poolclass" in options else {"poolclass": None, "pool_size": WORKERS}
        made.append(Leased(settings, **(pool | options)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("pool", ["a pool", "no pool"])
def test_leases_of_five_seconds_fail_nothing(
    leasing: Leasing, leased: Any, report: Report, pool: str
) -> None:
    leasing.creds_role("app-rw", **SHORT)
    options = {"poolclass": NullPool} if pool == "no pool" else {}
    subject = leased(leasing.settings(database=OVERLAP), **options)
    outcome = Outcome()
    with load(subject.engine, outcome):
        time.sleep(40 if pool == "a pool" else 15)
    report(f"5 s leases, {pool}", outcome, subject.counters)
    assert outcome.failed == 0
    assert len(outcome.users) >= (5 if pool == "a pool" else 2)
    assert len(outcome.users) == subject.counters.issued


@pytest.mark.asyncio
async def test_leases_of_five_seconds_fail_nothing_under_asyncio(
    leasing: Leasing, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[LeasedLogin] = []
    create = LeasedLogin.__init__

    def remember(self: LeasedLogin, *args: Any, **options: Any) -> None:
        create(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(LeasedLogin, "__init__", remember)
    leasing.creds_role("app-rw", **SHORT)
    settings = leasing.settings(database=OVERLAP)
    engine = vaultdb.create_async_engine(settings=settings, pool_size=WORKERS)
    outcome = await load_async(engine, 40)
    await engine.dispose()
    report("5 s leases, asyncio", outcome, made[0].counters)
    assert outcome.failed == 0
    assert len(outcome.users) >= 5


def test_a_vault_that_is_frozen_for_eight_seconds_fails_nothing(
    own_leasing: Leasing, leased: Any, report: Report
) -> None:
    own_leasing.creds_role("app-rw", ttl="20s", max_ttl="60s")
    subject = leased(own_leasing.settings(database=OVERLAP))
    outcome = Outcome()
    with load(subject.engine, outcome):
        time.sleep(6)
        with own_leasing.openbao.faults.frozen():
            time.sleep(8)
        time.sleep(8)
    report("vault frozen for 8 s", outcome, subject.counters)
    assert outcome.failed == 0


def test_a_vault_that_is_killed_and_comes_back_fails_nothing(
    own_leasing: Leasing, leased: Any, report: Report
) -> None:
    own_leasing.creds_role("app-rw", ttl="20s", max_ttl="25s")
    subject = leased(own_leasing.settings(database=OVERLAP))
    outcome = Outcome()
    with load(subject.engine, outcome):
        time.sleep(8)
        own_leasing.openbao.faults.kill()
        time.sleep(4)
        own_leasing.openbao.faults.start()
        time.sleep(14)
    report("vault killed, back in 4 s", outcome, subject.counters)
    assert outcome.failed == 0
    assert subject.counters.issued >= 2


def test_an_operator_who_revokes_everything_cuts_only_what_is_under_way(
    leasing: Leasing, leased: Any, report: Report
) -> None:
    leasing.creds_role("app-rw", ttl="60s", max_ttl="120s")
    subject = leased(leasing.settings(database=OVERLAP))
    outcome = Outcome()
    with load(subject.engine, outcome):
        for _ in range(3):
            time.sleep(3)
            leasing.revoke_all()
        time.sleep(3)
    report("all leases revoked 3 times", outcome, subject.counters)
    assert set(outcome.errors) <= CUT, outcome.errors
    assert outcome.failed <= 3 * WORKERS
    assert subject.counters.issued == 4
    assert len(outcome.users) == 4


def test_a_token_that_ends_fails_nothing(leasing: Leasing, leased: Any, report: Report) -> None:
    leasing.creds_role("app-rw", ttl="60s", max_ttl="120s")
    path = "auth/approle/role/short"
    leasing.admin.write(path, token_policies=["vaultdb-app"], token_ttl="5s", token_max_ttl="10s")
    approle = {
        "role_id": leasing.admin.read(f"{path}/role-id")["data"]["role_id"],
        "secret_id": leasing.admin.write(f"{path}/secret-id")["data"]["secret_id"],
    }
    subject = leased(leasing.settings(database=OVERLAP, vault=approle))
    outcome = Outcome()
    with load(subject.engine, outcome):
        time.sleep(30)
    report("tokens of at most 10 s", outcome, subject.counters)
    assert outcome.failed == 0
    assert subject.counters.issued >= 3


def test_children_lease_for_themselves_and_leave_the_parent_alone(
    leasing: Leasing, leased: Any, report: Report
) -> None:
    leasing.creds_role("app-rw", **SHORT)
    subject = leased(leasing.settings(database=OVERLAP), poolclass=NullPool)
    outcome = Outcome()
    children: list[Outcome] = []
    with load(subject.engine, outcome, workers=2):
        time.sleep(1)
        for _ in range(2):
            pipes = [_child(subject) for _ in range(2)]
            children += [_result(*pipe) for pipe in pipes]
        time.sleep(2)
    total = Outcome()
    for one in (outcome, *children):
        total.merge(one)
    report("4 forked children", total, subject.counters)
    assert total.failed == 0
    users = [one.users for one in (outcome, *children)]
    assert len(set.union(*users)) == sum(map(len, users)), "no login is used by two processes"


def _child(subject: Leased) -> tuple[int, int]:
    """Fork a child that works for four seconds and then gives its lease back."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:
        outcome = Outcome()
        with load(subject.engine, outcome, workers=1):
            time.sleep(4)
        subject.close()
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(outcome, pipe)
        code = 0
    finally:
        os._exit(code)


def _result(pid: int, reading: int) -> Outcome:
    with os.fdopen(reading, "rb") as pipe:
        outcome = pickle.load(pipe)
    assert os.waitpid(pid, 0)[1] == 0
    return outcome
