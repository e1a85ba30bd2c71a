"""Rotation rewraps every key, keeps the old wrapping until verified, and repeats nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from tests.fixtures.postgres import REALM, Database
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.rewraps import RewrapTable
from vaultdb.errors import KeyDenied, KeyringError, KeyUnavailable, SchemaError
from vaultdb.jobs import rewrap
from vaultdb.jobs.verify import verify
from vaultdb.keys.creation import create_key
from vaultdb.keys.provider import BATCH_SIZE
from vaultdb.keys.wrapped_key import KeyScope, Purpose, WrappedKey
from vaultdb.settings import DatabaseSettings
from vaultdb.vault.providers.memory import MemoryProvider

KEYS = rewrap.CHUNK_SIZE + BATCH_SIZE + 7  # more than one chunk, and a remainder


class CountingProvider(MemoryProvider):
    """Keys in memory, with a record of the requests and faults on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.rotations = 0
        self.batches: list[int] = []
        self.refuses: set[str] = set()
        self.fails_on_a_remainder = False

    def rotate(self) -> int:
        self.rotations += 1
        return super().rotate()

    def rewrap(self, keys):
        self.batches.append(len(keys))
        if self.fails_on_a_remainder and len(keys) < BATCH_SIZE:
            raise KeyUnavailable("vault went away")
        answers: list[tuple[str, int] | KeyringError] = super().rewrap(keys)
        for i, (wrapped, _) in enumerate(keys):
            if wrapped in self.refuses:
                answers[i] = KeyDenied("not this one")
        return answers


@dataclass
class Site:
    """A database with keys, and the two logins that a rotation needs."""

    database: Database
    provider: CountingProvider
    store: PostgresKeyStore
    keys: list[WrappedKey] = field(default_factory=list)

    @property
    def table(self) -> RewrapTable:
        return RewrapTable(self.store, REALM)

    def fill(self, count: int) -> None:
        settings = DatabaseSettings.model_validate({"url": self.database.officer_url})
        with closing(PostgresKeyStore(settings)) as officer:
            for number in range(count):
                scope = KeyScope(f"t{number}", "default", Purpose.DATA)
                self.keys.append(create_key(self.provider, officer, REALM, scope, 1))

    def rotate(self, rotate: bool | None = None) -> rewrap.Rewrapped:
        plan = rewrap.plan(self.provider, self.table, rotate=rotate)
        return rewrap.run(plan, self.provider, self.table)

    def assert_every_key_opens(self) -> None:
        rows = self.store.all(REALM)
        assert {row.key_id for row in rows} == {key.key_id for key in self.keys}
        for row in rows:
            (dek,) = self.provider.unwrap([(row.wrapped, row.context())])
            assert isinstance(dek, bytes)

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with self.database.connect() as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def site(database: Database) -> Iterator[Site]:
    store = PostgresKeyStore(DatabaseSettings.model_validate({"url": database.rotator_url}))
    yield Site(database, CountingProvider(), store)
    store.close()


def test_a_rotation_rewraps_every_key_in_batches(site: Site) -> None:
    site.fill(KEYS)
    seen: list[int] = []
    plan = rewrap.plan(site.provider, site.table)
    assert (plan.rotates, plan.rewraps, plan.kek_version) == (True, KEYS, 1)
    done = rewrap.run(plan, site.provider, site.table, progress=seen.append)
    assert (done.kek_version, done.rotated, done.rewrapped, done.failures) == (2, True, KEYS, ())
    assert sum(seen) == KEYS
    assert max(site.provider.batches) <= BATCH_SIZE
    assert {row.kek_version for row in site.store.all(REALM)} == {2}
    site.assert_every_key_opens()


def test_no_keys_is_no_problem(site: Site) -> None:
    assert site.rotate().rewrapped == 0
    assert site.provider.rotations == 1


def test_an_unfinished_rotation_is_finished_and_not_repeated(site: Site) -> None:
    site.fill(KEYS)
    site.provider.fails_on_a_remainder = True
    with pytest.raises(KeyUnavailable, match="went away"):
        site.rotate()
    left = site.table.survey(2).stale
    assert left == KEYS - rewrap.CHUNK_SIZE, "the first chunk was stored, the second was not"
    site.provider.fails_on_a_remainder = False
    plan = rewrap.plan(site.provider, site.table)
    assert (plan.rotates, plan.rewraps) == (False, left)
    assert rewrap.run(plan, site.provider, site.table).rewrapped == left
    assert site.provider.rotations == 1
    site.assert_every_key_opens()


def test_a_second_rotation_after_a_finished_one_is_a_new_one(site: Site) -> None:
    site.fill(3)
    site.rotate()
    assert site.rotate().kek_version == 3
    assert site.rotate(rotate=False).rewrapped == 0
    assert site.provider.rotations == 2


def test_one_rotation_serves_two_plans_made_at_once(site: Site) -> None:
    site.fill(3)
    plan = rewrap.plan(site.provider, site.table)
    rewrap.run(plan, site.provider, site.table)
    assert not rewrap.run(plan, site.provider, site.table).rotated
    assert site.provider.rotations == 1


def test_two_rotations_at_once_are_refused(site: Site) -> None:
    site.fill(1)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with site.table.exclusively():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert entered.wait(10)
        with pytest.raises(SchemaError, match="another rotation is running"):
            site.rotate()
    finally:
        leave.set()
        thread.join()
    assert site.rotate().rewrapped == 1


def test_a_key_that_is_refused_keeps_its_wrapping_and_is_reported(site: Site) -> None:
    site.fill(5)
    refused = site.keys[2]
    site.provider.refuses.add(refused.wrapped)
    done = site.rotate()
    assert done.rewrapped == 4
    assert done.failures == (f"{refused.key_id.hex()}: not this one",)
    site.assert_every_key_opens()
    site.provider.refuses.clear()
    assert site.rotate().rewrapped == 1


def test_a_row_changed_meanwhile_is_left_alone(site: Site) -> None:
    site.fill(2)
    read = site.keys
    site.sql("UPDATE vaultdb.data_key SET wrapped = 'vault:v1:else' WHERE tenant = 't0'")
    assert site.table.replace(read, [("vault:v2:a", 2), ("vault:v2:b", 2)]) == 1
    assert {row.wrapped for row in site.store.all(REALM)} == {"vault:v1:else", "vault:v2:b"}


def test_an_older_wrapping_never_replaces_a_newer_one(site: Site) -> None:
    site.fill(1)
    site.sql("UPDATE vaultdb.data_key SET kek_version = 3")
    assert site.table.replace(site.keys, [("vault:v2:a", 2)]) == 0


def test_destroyed_keys_are_not_rewrapped(site: Site) -> None:
    site.fill(2)
    site.sql("UPDATE vaultdb.data_key SET state = 'destroyed', wrapped = '' WHERE tenant = 't0'")
    assert site.rotate().rewrapped == 1


def test_the_previous_wrapping_stays_until_somebody_opened_the_new_one(site: Site) -> None:
    site.fill(KEYS)
    first = {row.key_id: row.wrapped for row in site.store.all(REALM)}
    site.rotate()
    site.rotate()
    previous = site.sql("SELECT key_id, wrapped_prev FROM vaultdb.data_key")
    assert dict(previous) == first, "the last wrapping that was ever opened"
    assert site.table.survey(3).unverified == KEYS
    found = verify(site.provider, site.table)
    assert (found.verified, found.taken_back, found.broken) == (KEYS, (), ())
    assert site.table.survey(3).unverified == 0
    assert site.sql("SELECT count(wrapped_prev) FROM vaultdb.data_key") == [(0,)]


def test_a_wrapping_that_does_not_open_is_taken_back(site: Site) -> None:
    site.fill(3)
    site.rotate()
    victim = site.keys[1]
    site.sql(
        f"UPDATE vaultdb.data_key SET wrapped = 'garbage' WHERE tenant = '{victim.scope.tenant}'"
    )
    found = verify(site.provider, site.table)
    assert (found.verified, found.taken_back) == (2, (victim.key_id.hex(),))
    site.assert_every_key_opens()
    assert rewrap.plan(site.provider, site.table).rewraps == 1
    site.rotate()
    assert verify(site.provider, site.table).verified == 1


def test_another_keys_wrapping_is_no_key_of_this_row(site: Site) -> None:
    site.fill(2)
    site.rotate()
    site.sql("""UPDATE vaultdb.data_key SET wrapped =
        (SELECT wrapped FROM vaultdb.data_key WHERE tenant = 't1') WHERE tenant = 't0'""")
    assert verify(site.provider, site.table).taken_back == (site.keys[0].key_id.hex(),)
    site.assert_every_key_opens()


def test_a_key_that_no_wrapping_opens_is_reported_and_kept(site: Site) -> None:
    site.fill(2)
    site.rotate()
    site.sql("UPDATE vaultdb.data_key SET wrapped = 'a', wrapped_prev = 'b' WHERE tenant = 't0'")
    found = verify(site.provider, site.table)
    assert found.broken == (site.keys[0].key_id.hex(),)
    rows = site.sql("SELECT wrapped, wrapped_prev FROM vaultdb.data_key WHERE tenant = 't0'")
    assert rows == [("a", "b")]


@pytest.mark.parametrize("whole", [True, False])
def test_an_outage_takes_nothing_back(
    site: Site, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fill(2)
    site.rotate()

    def down(keys: list[object]) -> list[KeyUnavailable]:
        if whole:
            raise KeyUnavailable("vault is sealed")
        return [KeyUnavailable("vault is sealed") for _ in keys]

    monkeypatch.setattr(site.provider, "unwrap", down)
    with pytest.raises(KeyUnavailable, match="sealed"):
        verify(site.provider, site.table)
    assert site.table.survey(2).unverified == 2
    assert {row.kek_version for row in site.store.all(REALM)} == {2}
