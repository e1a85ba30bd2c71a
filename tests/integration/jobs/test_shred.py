"""Destroying a tenant and a data subject: caches, interruptions, and what the certificate says."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    insert,
    select,
)

import vaultdb
from tests.fixtures.postgres import REALM, Database
from vaultdb import Encrypted, Equality
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.manifests import Manifest, record
from vaultdb.errors import DecryptionError, KeyringError, VaultDBError, VaultDenied
from vaultdb.jobs.keybackup.backup import back_up
from vaultdb.jobs.shred import destroy
from vaultdb.jobs.shred.destroy import Destroyed, Shredder
from vaultdb.jobs.shred.target import find
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose
from vaultdb.settings import Settings
from vaultdb.vault.kek_deletion import VaultIdentity
from vaultdb.vault.providers.memory import MemoryProvider

metadata = MetaData()
patient = Table(
    "patient",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Encrypted(str, keyset="own", index=Equality())),
)

visit = Table(
    "visit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("patient", Integer, nullable=False),
    Column("was", String),
    Column(
        "note",
        Encrypted(str, keyset="people", subject="patient", index=Equality(), adopts="was"),
    ),
)


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Kek:
    """A tenant's KEK in memory, deleted as Vault does it."""

    mount, kek = "transit", "vaultdb-tenant-x"

    def __init__(self, provider: MemoryProvider, tenant: str) -> None:
        self._own = provider.for_scope(KeyScope(tenant, "own", Purpose.DATA))
        self.is_denied = False

    def exists(self) -> bool:
        return bool(self._own._keks)

    def delete(self) -> None:
        if self.is_denied:
            raise VaultDenied("permission denied")
        self._own._keks.clear()

    def whoami(self) -> VaultIdentity:
        return VaultIdentity("break-glass", "entity")


@dataclass
class Site:
    """A database with rows of two tenants, and an application that has read them."""

    database: Database
    settings: Settings
    provider: MemoryProvider = field(default_factory=lambda: MemoryProvider(["own"]))
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.shredder = PostgresKeyStore(self.settings)
        officer = self.settings.database.model_copy(update={"url": _secret(self.database)})
        self.officer = PostgresKeyStore(officer)
        self.keyring = Keyring(
            realm=REALM, provider=self.provider, store=self.officer, create_keys=True,
            _clock=self.clock, _jitter=lambda: 1.0,
        )  # fmt: skip
        self.engines: list[Engine] = []

    def app(self, tenant: str, keyring: Keyring | None = None) -> Engine:
        engine = create_engine(self.database.sqlalchemy_url)
        self.engines.append(engine)
        return vaultdb.install(engine, keyring=keyring or self.keyring, tenant=tenant)

    def read(self, engine: Engine) -> list[str]:
        with engine.connect() as connection:
            return sorted(connection.scalars(select(patient.c.name)))

    def shred(self, kek: Kek | None = None, tenant: str = "acme") -> Destroyed:
        target = find(self.shredder, self.settings, [metadata], tenant=tenant)
        kek = kek or Kek(self.provider, tenant)
        return Shredder(self.shredder, self.settings).tenant(target, kek)  # type: ignore[arg-type]

    def erase(self, subject: str) -> Destroyed:
        target = find(self.shredder, self.settings, [metadata], tenant="acme", subject=subject)
        return Shredder(self.shredder, self.settings).subject(target)

    def states(self) -> dict[str, set[KeyState]]:
        rows = self.shredder.all(REALM)
        return {
            tenant: {row.state for row in rows if row.scope.tenant == tenant}
            for tenant in {row.scope.tenant for row in rows}
        }

    def close(self) -> None:
        for engine in self.engines:
            engine.dispose()
        self.keyring.close()
        self.officer.close()
        self.shredder.close()


def _secret(database: Database):
    from pydantic import SecretStr

    return SecretStr(database.officer_url)


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    settings = Settings.model_validate(
        {
            "realm": str(REALM),
            "keys": "vault",
            "database": {"url": database.rotator_url},
            "keyring": {"backup_folder": tmp_path, "backup_days": 10},
            "keysets": {"own": {"kek": "tenant"}},
        }
    )
    database.create_all(metadata)
    with database.connect() as connection:
        connection.execute("GRANT SELECT, UPDATE ON patient, visit TO vaultdb_rotator")
    made = Site(database, settings)
    with made.app("acme").begin() as connection:
        connection.execute(insert(patient), [{"id": n, "name": f"Ada {n}"} for n in range(3)])
    yield made
    made.close()


def index_values(database: Database) -> set[bytes | None]:
    with database.connect() as connection:
        return {row[0] for row in connection.execute("SELECT name_index FROM patient")}


def test_a_running_application_stops_reading_within_its_ttls(site: Site) -> None:
    engine = site.app("acme")
    assert site.read(engine) == ["Ada 0", "Ada 1", "Ada 2"]
    site.shred()
    site.clock.now += 299
    assert site.read(engine) == ["Ada 0", "Ada 1", "Ada 2"], "still fresh: nobody was asked"
    site.clock.now += 900 - 299
    with pytest.raises((KeyringError, DecryptionError)):
        site.read(engine)


def test_a_running_application_stops_at_once_after_a_flush(site: Site) -> None:
    engine = site.app("acme")
    site.read(engine)
    site.shred()
    site.keyring.flush()
    with pytest.raises((KeyringError, DecryptionError)):
        site.read(engine)


def test_when_vault_refuses_nothing_is_changed(site: Site) -> None:
    kek = Kek(site.provider, "acme")
    kek.is_denied = True
    before = index_values(site.database)
    with pytest.raises(VaultDenied):
        site.shred(kek)
    assert site.states() == {"acme": {KeyState.ACTIVE}}
    assert index_values(site.database) == before
    assert len(site.read(site.app("acme"))) == 3


STEPS = ("_tombstones", "_index_values", "back_up_if_wanted", "body_of")


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_dies_is_finished_by_the_next_and_certified(
    site: Site, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise ConnectionError

    place = Shredder if step.startswith("_") else destroy
    with monkeypatch.context() as patched, pytest.raises(ConnectionError):
        patched.setattr(place, step, die)
        site.shred()
    site.keyring.flush()
    with pytest.raises((KeyringError, DecryptionError)):  # the first step is the one that counts
        site.read(site.app("acme"))
    done = site.shred()
    body = done.certificate
    assert body["kek_state"] == "absent", "this run found nothing to delete, and says so"
    assert len(body["keys_destroyed"]) + len(body["keys_before"]) == 2
    assert site.states() == {"acme": {KeyState.DESTROYED}}
    assert index_values(site.database) == {None}
    assert done.backup is not None
    assert done.backup.tombstones == 2


def test_a_key_made_while_the_plan_was_read_is_destroyed_as_well(site: Site) -> None:
    target = find(site.shredder, site.settings, [metadata], tenant="acme")
    with closing(Keyring(realm=REALM, provider=site.provider, store=site.officer,
                         create_keys=True)) as late:  # fmt: skip
        late.active("acme", "late")
    kek = Kek(site.provider, "acme")
    Shredder(site.shredder, site.settings).tenant(target, kek)  # type: ignore[arg-type]
    assert site.states() == {"acme": {KeyState.DESTROYED}}


def test_another_tenants_rows_and_keys_are_left_alone(site: Site) -> None:
    other = site.app("umbrella")
    with other.begin() as connection:
        connection.execute(insert(patient), [{"id": 9, "name": "Alice"}])
    site.shred()
    site.keyring.flush()
    assert site.states() == {"acme": {KeyState.DESTROYED}, "umbrella": {KeyState.ACTIVE}}
    with other.connect() as connection:
        found = select(patient.c.name).where(patient.c.name == "Alice")
        assert connection.scalars(found).all() == ["Alice"]


def test_what_was_begun_and_done_is_recorded_where_nobody_changes_it(site: Site) -> None:
    subject_keys(site, "17")
    body = site.erase("17").certificate
    site.shred()
    with site.database.connect() as connection:
        rows = connection.execute(
            "SELECT login, action, object, detail FROM vaultdb_audit.operation"
            " WHERE action LIKE 'keys %' ORDER BY id"
        ).fetchall()
    assert [row[:3] for row in rows] == [
        ("vaultdb_key_rotator", "keys erase-subject begun", "data subject"),
        ("vaultdb_key_rotator", "keys erase-subject", "data subject"),
        ("vaultdb_key_rotator", "keys shred begun", "tenant acme"),
        ("vaultdb_key_rotator", "keys shred", "tenant acme"),
    ]
    assert rows[1][3] == {"certificate_sha256": body["sha256"], "keys": 1, "kek": None}
    assert "17" not in {row[2] for row in rows}


def subject_keys(site: Site, *subjects: str) -> dict[str, bytes]:
    """Give each data subject a key and one row of its own; return the key ids."""
    made = {}
    with site.database.connect() as connection:
        for number, subject in enumerate(subjects, start=100):
            made[subject] = site.keyring.active("acme", "default", subject=subject).key_id
            envelope = b"\xf6\x01" + made[subject] + os.urandom(60)
            values = [number, envelope, b"\xb1\x01" + os.urandom(24)]
            connection.execute("INSERT INTO patient VALUES (%s, %s, %s)", values)
    return made


def test_an_erased_subject_loses_its_keys_and_index_values_and_others_keep_theirs(
    site: Site,
) -> None:
    keys = subject_keys(site, "17", "18")
    before = index_values(site.database)
    body = site.erase("17").certificate
    assert body["keys_destroyed"] == [keys["17"].hex()]
    assert body["index_rows"] == {"patient": 1}
    assert body["values"] == {"public.patient.name": 1}
    assert len(before - index_values(site.database)) == 1
    states = {row.scope.subject: row.state for row in site.shredder.all(REALM)}
    assert states == {"": KeyState.ACTIVE, "17": KeyState.DESTROYED, "18": KeyState.ACTIVE}
    site.keyring.flush()
    with pytest.raises(KeyringError):
        site.keyring.get(keys["17"])
    with pytest.raises(VaultDBError):  # not even with create_keys
        site.keyring.active("acme", "default", subject="17")
    assert site.keyring.get(keys["18"]).key_id == keys["18"]


def test_the_values_of_an_erased_subject_are_unreadable_and_those_beside_them_are_not(
    site: Site,
) -> None:
    engine = site.app("acme")
    notes = [{"id": n, "patient": 17 + n % 2, "note": f"note {n}"} for n in range(4)]
    with engine.begin() as connection:
        connection.execute(insert(visit), notes)
    body = site.erase("17").certificate
    assert body["values"] == {"public.visit.note": 2}
    assert body["index_rows"] == {"visit": 2}
    assert body["final_at"] is None
    assert "values in the clear in visit.was" in {each["what"] for each in body["remains"]}
    site.keyring.flush()
    read = select(visit.c.note).order_by(visit.c.id)
    with engine.connect() as connection:
        assert connection.scalars(read.where(visit.c.patient == 18)).all() == ["note 1", "note 3"]
        assert connection.scalars(read.where(visit.c.note == "note 3")).all() == ["note 3"]
        with pytest.raises((KeyringError, DecryptionError)):
            connection.scalars(read.where(visit.c.patient == 17)).all()
    with engine.begin() as connection, pytest.raises(VaultDBError):
        connection.execute(insert(visit), {"id": 9, "patient": 17, "note": "again"})


def test_an_erasure_is_final_once_the_last_backup_that_has_the_key_is_gone(site: Site) -> None:
    keys = subject_keys(site, "17")
    with site.database.connect() as connection:
        connection.execute("ALTER TABLE visit DROP COLUMN was")
    old = back_up(site.shredder, site.settings)
    taken = datetime.fromisoformat(json.loads(old.path.read_bytes().splitlines()[0])["taken_at"])
    done = site.erase("17")
    assert done.certificate["final_at"] == (taken + timedelta(days=10)).isoformat()
    assert done.backup is not None
    assert json.loads(done.backup.path.read_bytes().splitlines()[0])["tombstones"] == 1

    expires = taken + timedelta(days=90)
    with site.shredder.connection(REALM, "record a manifest") as connection:
        record(connection, Manifest("weekly", taken, expires, frozenset(keys.values())))
    again = site.erase("17").certificate
    assert again["keys_destroyed"] == []
    assert datetime.fromisoformat(again["final_at"]) == expires
    with site.shredder.connection(REALM, "record a manifest") as connection:
        record(connection, Manifest("for ever", taken, None, frozenset(keys.values())))
    assert site.erase("17").certificate["final_at"] is None
    assert "backup of the database for ever" in json.dumps(site.erase("17").certificate)


def test_without_a_folder_of_key_backups_nobody_says_that_an_erasure_is_final(site: Site) -> None:
    subject_keys(site, "17")
    keyring = site.settings.keyring.model_copy(update={"backup_folder": None})
    site.settings = site.settings.model_copy(update={"keyring": keyring})
    done = site.erase("17")
    assert done.backup is None
    assert done.certificate["final_at"] is None
