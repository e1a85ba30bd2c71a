"""KEKs of tenants and keys of data subjects, on the command line and through the keyring."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fixtures.openbao import OpenBao
from tests.integration.cli.conftest import Run
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.rewraps import RewrapTable
from vaultdb.engine.keyring import keyring_for
from vaultdb.errors import KeyDenied
from vaultdb.jobs import rewrap
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.settings import Settings
from vaultdb.vault.factory import new_provider
from vaultdb.vault.tenant_kek import tenant_kek

CREATE = ("keys", "create", "--keyset", "patients", "--tenant")


@pytest.fixture
def acme() -> str:
    """A tenant that no other test has: their KEKs outlive the databases."""
    return f"acme-{secrets.token_hex(4)}"


@pytest.fixture
def file(settings_file: Path) -> Path:
    """Settings in which the keyset "patients" has a KEK for each tenant."""
    with settings_file.open("a") as file:
        file.write('[keysets.patients]\nkek = "tenant"\n')
    return settings_file


@pytest.fixture
def settings(file: Path) -> Settings:
    return Settings.load(file=file)


@pytest.fixture
def keyring(settings: Settings) -> Iterator[Keyring]:
    with keyring_for(settings)() as keyring:
        yield keyring


def kek_path(settings: Settings, tenant: str) -> str:
    name = tenant_kek(settings.vault.kek, settings.realm, tenant)
    return f"{settings.vault.transit_mount}/keys/{name}"


def destroy(openbao: OpenBao, path: str) -> None:
    openbao.admin.write(f"{path}/config", deletion_allowed=True)
    openbao.admin._call("DELETE", path, None)


def test_a_tenants_first_key_brings_its_kek(
    run: Run, acme: str, settings: Settings, keyring: Keyring, openbao: OpenBao
) -> None:
    assert run(*CREATE, acme).code == 0
    kek = openbao.admin.read(kek_path(settings, acme))["data"]
    assert (kek["derived"], kek["exportable"], kek["latest_version"]) == (True, False, 1)
    assert keyring.active(acme, "patients").scope == KeyScope(acme, "patients", Purpose.DATA)
    assert len(keyring.index_keys(acme, "patients")) == 1
    assert run(*CREATE, acme, "--new-version").code == 0, "although the KEK is there"


def test_subjects_get_keys_of_their_own_in_one_go(
    run: Run, acme: str, file: Path, keyring: Keyring
) -> None:
    names = [f"p-{number}" for number in range(120)]
    options = [word for name in names for word in ("--subject", name)]
    made = run(*CREATE, acme, *options, "--json").json
    assert [(key["subject"], key["purpose"], key["created"]) for key in made] == [
        (name, "data", True) for name in names
    ]
    again = run(*CREATE, acme, "--subject", "p-3", "--subject", "new").out
    assert f"exists already: data key of tenant {acme}, keyset patients, subject p-3" in again
    assert f"created data key of tenant {acme}, keyset patients, subject new" in again
    keyring.load([KeyScope(acme, "patients", Purpose.DATA, name) for name in names])
    assert keyring.active(acme, "patients", subject="p-3").scope.subject == "p-3"
    assert keyring.counters.provider_calls == 2, "120 keys"
    assert "121 subjects" in run("keys", "status").out
    (line,) = [line for line in run("keys", "list").out.splitlines() if " new " in line]
    assert line.split()[:4] == [acme, "patients", "data", "new"]


def test_a_subject_has_no_index_key(run: Run, acme: str, file: Path) -> None:
    failed = run(*CREATE, acme, "--subject", "p-1", "--purpose", "index")
    assert failed.failed_with("a data subject has no index key")


def test_rotation_and_verification_reach_every_kek(
    run: Run, acme: str, settings: Settings, keyring: Keyring, openbao: OpenBao
) -> None:
    run("keys", "create")
    run(*CREATE, acme, "--subject", "p-1")
    run(*CREATE, acme)
    done = rotate()
    assert (done.rewrapped, done.rotated, done.tenant_keks_rotated) == (5, True, 1)
    assert openbao.admin.read(kek_path(settings, acme))["data"]["latest_version"] == 2
    listed = run("keys", "list", "--json").json
    assert {key["kek_version"] for key in listed if key["tenant"] == acme} == {2}
    assert "verified 5 data keys" in run("keys", "verify").out
    assert keyring.active(acme, "patients", subject="p-1")


def test_without_its_kek_one_tenant_is_unreadable_and_the_others_go_on(
    run: Run, acme: str, settings: Settings, keyring: Keyring, openbao: OpenBao
) -> None:
    globex = f"globex-{acme}"
    for tenant in (acme, globex):
        run(*CREATE, tenant)
    assert keyring.active(acme, "patients")
    destroy(openbao, kek_path(settings, acme))
    keyring.flush()
    with pytest.raises(KeyDenied):
        keyring.active(acme, "patients")
    assert keyring.active(globex, "patients")
    with keyring_for(settings)() as fresh, pytest.raises(KeyDenied, match="its key was destroyed"):
        fresh.active(acme, "patients")
    assert f"tenant {acme}: 2 keys lost" in run("keys", "status").out
    done = rotate()
    assert (done.rewrapped, len(done.failures)) == (2, 1)
    assert done.failures[0].startswith(f"tenant {acme}: ")


def rotate() -> rewrap.Rewrapped:
    """Rotate every KEK and rewrap, as the rotator."""
    settings = Settings.load(role="rotator")
    with closing(new_provider(settings)) as provider, closing(PostgresKeyStore(settings)) as store:
        table = RewrapTable(store, settings.realm)
        return rewrap.run(rewrap.plan(provider, table, rotate=True), provider, table)


def test_the_local_provider_refuses_keks_of_tenants(run: Run, acme: str, file: Path) -> None:
    file.write_text('keys = "local"\n' + file.read_text())
    failed = run("keys", "create")
    assert failed.failed_with('keysets.patients.kek: keys = "local" has one key-encryption key')
