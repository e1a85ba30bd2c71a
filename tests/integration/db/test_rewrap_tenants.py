"""Rotation of several KEKs at once: each keeps its own versions, and none holds up the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fixtures.postgres import REALM, Database
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.rewraps import RewrapTable
from vaultdb.errors import KeyringError, KeyUnavailable
from vaultdb.jobs import rewrap
from vaultdb.jobs.verify import verify
from vaultdb.keys.creation import create_keys
from vaultdb.keys.provider import KekMissing, KeyProvider
from vaultdb.keys.wrapped_key import KeyScope, Purpose, WrappedKey
from vaultdb.settings import DatabaseSettings
from vaultdb.vault.providers.memory import MemoryProvider

TENANTS = ("acme", "globex", "initech")
SUBJECTS = 150


class Site:
    """A database with keys under the realm's KEK and under those of three tenants."""

    def __init__(self, database: Database, store: PostgresKeyStore) -> None:
        self.database = database
        self.store = store
        self.provider = MemoryProvider({"patients"})
        self.table = RewrapTable(store, REALM)

    def fill(self) -> None:
        scopes = [KeyScope(tenant, "default", Purpose.DATA) for tenant in TENANTS]
        scopes += [KeyScope(tenant, "patients", Purpose.DATA) for tenant in TENANTS]
        scopes += [
            KeyScope("acme", "patients", Purpose.DATA, f"p-{number}") for number in range(SUBJECTS)
        ]
        settings = DatabaseSettings.model_validate({"url": self.database.officer_url})
        with closing(PostgresKeyStore(settings)) as officer:
            create_keys(self.provider, officer, REALM, [(scope, 1) for scope in scopes])

    def kek_of(self, tenant: str) -> MemoryProvider:
        kek = self.provider.for_scope(KeyScope(tenant, "patients", Purpose.DATA))
        assert isinstance(kek, MemoryProvider)
        return kek

    def rotate(self, rotate: bool | None = None, tenant: str | None = None) -> rewrap.Rewrapped:
        plan = rewrap.plan(self.provider, self.table, rotate=rotate, tenant=tenant)
        return rewrap.run(plan, self.provider, self.table)

    def versions(self) -> dict[tuple[str, str], set[int]]:
        found: dict[tuple[str, str], set[int]] = {}
        for row in self.store.all(REALM):
            found.setdefault((row.scope.tenant, row.scope.keyset), set()).add(row.kek_version)
        return found

    def assert_every_key_opens(self) -> None:
        for row in self.store.all(REALM):
            assert isinstance(self.opened(row), bytes)

    def opened(self, row: WrappedKey) -> bytes | KeyringError:
        return self.provider.for_scope(row.scope).unwrap([(row.wrapped, row.context())])[0]


@pytest.fixture
def site(database: Database) -> Iterator[Site]:
    store = PostgresKeyStore(DatabaseSettings.model_validate({"url": database.rotator_url}))
    site = Site(database, store)
    site.fill()
    yield site
    store.close()


def test_every_kek_in_use_is_rotated_and_every_key_rewrapped(site: Site) -> None:
    plan = rewrap.plan(site.provider, site.table)
    assert [(kek.tenant, kek.keys, kek.rotates) for kek in plan.tenants] == [
        ("acme", SUBJECTS + 1, True),
        ("globex", 1, True),
        ("initech", 1, True),
    ]
    assert (plan.kek_version, plan.rotates, plan.keys) == (1, True, SUBJECTS + 6)
    assert plan.rewraps == SUBJECTS + 6
    seen: list[int] = []
    done = rewrap.run(plan, site.provider, site.table, progress=seen.append)
    assert (done.rewrapped, done.tenant_keks_rotated, done.failures) == (SUBJECTS + 6, 3, ())
    assert sum(seen) == SUBJECTS + 6
    assert set().union(*site.versions().values()) == {2}
    site.assert_every_key_opens()


def test_versions_are_compared_with_each_keks_own(site: Site) -> None:
    site.kek_of("globex").rotate()
    site.kek_of("globex").rotate()
    plan = rewrap.plan(site.provider, site.table, rotate=False)
    assert (plan.stale, plan.rewraps) == (1, 1)
    assert site.rotate(rotate=False).rewrapped == 1
    assert site.versions()["globex", "patients"] == {3}
    assert site.versions()["acme", "patients"] == {1}
    site.assert_every_key_opens()


def test_one_tenant_is_rotated_without_the_others_and_the_realm(site: Site) -> None:
    done = site.rotate(tenant="acme")
    assert (done.rewrapped, done.rotated, done.tenant_keks_rotated) == (SUBJECTS + 1, False, 1)
    assert site.versions() == {
        (tenant, keyset): {2 if (tenant, keyset) == ("acme", "patients") else 1}
        for tenant in TENANTS
        for keyset in ("default", "patients")
    }
    site.provider.rotate()
    assert site.rotate(rotate=False, tenant="acme").rewrapped == 1, "the realm's key of acme"
    assert site.versions()["globex", "default"] == {1}
    site.assert_every_key_opens()


def test_a_killed_rotation_is_finished_without_rotating_again_what_is_under_way(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, whole = site.kek_of("acme"), MemoryProvider.rewrap

    def fails(provider: MemoryProvider, keys: list[tuple[str, bytes]]) -> object:
        if provider is acme:
            raise KeyUnavailable("vault went away")
        return whole(provider, keys)

    monkeypatch.setattr(MemoryProvider, "rewrap", fails)
    with pytest.raises(KeyUnavailable, match="went away"):
        site.rotate()
    monkeypatch.undo()
    plan = rewrap.plan(site.provider, site.table)
    assert {kek.tenant: kek.rotates for kek in plan.tenants}["acme"] is False
    rewrap.run(plan, site.provider, site.table)
    assert acme.latest_version() == 2
    assert rewrap.plan(site.provider, site.table).stale == 0
    site.assert_every_key_opens()


def test_a_tenants_kek_that_is_gone_holds_up_nobody_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    globex = site.kek_of("globex")

    def gone(*_: object) -> object:
        raise KekMissing("there is no such key")

    site.rotate()
    for name in ("latest_version", "rewrap", "unwrap"):
        whole = getattr(MemoryProvider, name)
        monkeypatch.setattr(
            MemoryProvider,
            name,
            lambda self, *args, whole=whole: gone() if self is globex else whole(self, *args),
        )
    done = site.rotate()
    assert done.failures == ("tenant globex: there is no such key",)
    assert done.rewrapped == SUBJECTS + 5
    found = verify(site.provider, site.table)
    assert (found.verified, found.taken_back, len(found.broken)) == (SUBJECTS + 5, (), 1)


def test_rewrapped_keys_of_tenants_and_subjects_are_verified(site: Site) -> None:
    site.rotate()
    victim = site.store.by_scopes(REALM, [KeyScope("acme", "patients", Purpose.DATA, "p-7")])[0]
    with site.database.connect() as connection:
        connection.execute(
            "UPDATE vaultdb.data_key SET wrapped = 'garbage' WHERE key_id = %s", (victim.key_id,)
        )
    found = verify(site.provider, site.table)
    assert (found.verified, found.taken_back) == (SUBJECTS + 5, (victim.key_id.hex(),))
    site.assert_every_key_opens()


def test_a_key_under_another_tenants_kek_does_not_open(site: Site) -> None:
    (row,) = site.store.by_scopes(REALM, [KeyScope("globex", "patients", Purpose.DATA)])
    provider: KeyProvider = site.kek_of("acme")
    assert isinstance(provider.unwrap([(row.wrapped, row.context())])[0], KeyringError)
