"""Setting a Vault up: complete, repeatable, and never at somebody else's expense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.fixtures.postgres import Database
from tests.integration.provision.conftest import Place, url_of
from vaultdb.dev.databases import ENGINE
from vaultdb.errors import ConfigurationError, VaultError
from vaultdb.provision.step import State
from vaultdb.provision.vault_spec import JwtSpec, LeaseSpec
from vaultdb.vault.policies import Role


def everything(place: Place) -> dict[str, Any]:
    """What an administrator sees of mounts, policies and logins."""
    admin = place.admin
    return {
        "mounts": sorted(admin.read("sys/mounts")["data"]),
        "logins": sorted(admin.read("sys/auth")["data"]),
        "policies": {
            name: admin.read(f"sys/policies/acl/{name}")["data"]["policy"]
            for name in admin.read("sys/policies/acl?list=true")["data"]["keys"]
            if name != "root"
        },
    }


def test_a_second_run_finds_everything_as_wanted(place: Place, database: Database) -> None:
    spec = place.spec(leases=place.leases(database))
    assert place.differing(spec)
    assert place.differing(spec) == []
    assert place.differing(spec, plan=True) == []


def test_a_plan_shows_what_is_missing_and_changes_nothing(place: Place, database: Database) -> None:
    before = everything(place)
    steps = place.differing(place.spec(leases=place.leases(database)), plan=True)
    assert {"key vaultdb", f"transit mount keys-{place.mark}"} <= {step.what for step in steps}
    assert everything(place) == before


def test_a_run_that_was_cut_short_anywhere_is_completed_by_the_next(
    place: Place, database: Database
) -> None:
    spec = place.spec(leases=place.leases(database))
    total = len(place.set_up(spec, plan=True).steps)
    for last in range(1, total, 5):
        with pytest.raises(KeyboardInterrupt):
            place.set_up(spec, tell=cut_after(last))
    place.set_up(spec)
    assert place.differing(spec) == []


def cut_after(last: int) -> Callable[[object], None]:
    """Return what interrupts a run after so many steps."""
    steps = iter(range(last))

    def tell(_step: object) -> None:
        if next(steps, None) is None:
            raise KeyboardInterrupt

    return tell


def test_drift_is_shown_line_by_line_and_mended(place: Place, database: Database) -> None:
    spec, admin = place.spec(leases=place.leases(database)), place.admin
    place.set_up(spec)
    policy = admin.read("sys/policies/acl/vaultdb-app")["data"]["policy"]
    more = 'path "sys/*" {\n  capabilities = ["read"]\n}\n'
    admin.write("sys/policies/acl/vaultdb-app", policy=f"{policy}\n{more}")
    admin.write("auth/approle/role/vaultdb-app", token_policies=["vaultdb-app", "admin"])
    admin.write(f"db-{place.mark}/roles/vaultdb-backup", creation_statements=["SELECT 1"])
    admin.write(f"pki-{place.mark}/roles/vaultdb-app", allow_any_name=True)
    admin.write(f"keys-{place.mark}/config/keys", disable_upsert=False)

    found = {step.what: " ".join(step.detail) for step in place.differing(spec, plan=True)}
    shown = {
        "policy vaultdb-app": '-path "sys/*" {',
        "approle vaultdb-app": "token_policies: vaultdb-app, admin -> vaultdb-app",
        "leased login vaultdb-backup": "creation_statements: SELECT 1 -> CREATE ROLE",
        "certificate role vaultdb-app": "allow_any_name: True -> False",
        f"no upsert in keys-{place.mark}": "disable_upsert: False -> True",
    }
    assert {what for what, detail in found.items() if shown[what] in detail} == set(shown)
    place.set_up(spec)
    assert place.differing(spec) == []
    assert admin.read("sys/policies/acl/vaultdb-app")["data"]["policy"] == policy


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({}, "not derived"),
        ({"derived": True, "exportable": True}, "exportable"),
        ({"derived": True, "allow_plaintext_backup": True}, "plaintext backups"),
        ({"type": "chacha20-poly1305", "derived": True}, "its type is chacha20-poly1305"),
    ],
)
def test_a_key_that_cannot_be_the_kek_is_refused_before_anything_is_changed(
    place: Place, properties: dict[str, Any], reason: str
) -> None:
    place.admin.write(f"sys/mounts/keys-{place.mark}", type="transit")
    place.admin.write(f"keys-{place.mark}/keys/vaultdb", **({"type": "aes256-gcm96"} | properties))
    before = everything(place)
    for plan in (True, False):
        with pytest.raises(ConfigurationError, match=reason):
            place.set_up(place.spec(), plan=plan)
    assert everything(place) == before


def test_another_engine_at_the_place_of_a_mount_is_refused(place: Place) -> None:
    place.admin.write(f"sys/mounts/keys-{place.mark}", type="kv")
    with pytest.raises(ConfigurationError, match=r"a kv engine at keys-.* choose another mount"):
        place.set_up(place.spec())


def test_a_transit_mount_of_others_keeps_its_own_settings(place: Place) -> None:
    place.admin.write(f"sys/mounts/keys-{place.mark}", type="transit", description="everybody's")
    (step,) = [s for s in place.set_up(place.spec()).steps if s.state is State.FOREIGN]
    assert step.what == f"no upsert in keys-{place.mark}"
    assert not place.admin.read(f"keys-{place.mark}/config/keys")["data"]["disable_upsert"]


def test_the_logins_of_another_database_are_left_to_it_unless_told(
    place: Place, database: Database
) -> None:
    place.set_up(place.spec(leases=place.leases(database)))
    other = database.postgres.create_database()
    try:
        leases = place.leases(database, url=url_of(other))
        (step,) = place.differing(place.spec(leases=leases))
        assert step.state is State.FOREIGN
        assert f"/{database.name}?" in step.detail[0]
        assert f"/{other.name}?" in step.detail[0]
        leases = place.leases(database, url=url_of(other), default_ttl=60)
        tried = place.set_up(place.spec(leases=leases), rotate=True)
        assert [step.state for step in tried.steps if step.differs] == [State.FOREIGN]
        psycopg.connect(database.url_for(ENGINE)).close()  # with the password that it had
        told = place.spec(leases=place.leases(database, url=url_of(other), replace=True))
        (step,) = place.differing(told)
        assert step.state is State.CHANGE
    finally:
        database.postgres.drop_database(other.name)


def with_change(database: Database, spec: LeaseSpec, **changes: str) -> dict[str, Any]:
    authority = database.postgres.sslrootcert
    return {
        "password": {"password": "wrong"},
        "authority": {"url": spec.url.replace(authority, "/none.pem")},
        "no authority": {"url": spec.url.partition("&")[0]},
        "database": {"url": spec.url.replace(database.name, "nothing")},
        "port": {"url": spec.url.replace(str(database.postgres.port), "1")},
        "host": {"url": spec.url.replace("127.0.0.1", "nowhere.invalid")},
        "first password": {"password": None},
    }[changes["wrong"]]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("password", "postgresql refused the engine's password"),
        ("authority", "not a file that vault can read"),
        ("no authority", "does not trust the database's certificate"),
        ("database", "there is no such database"),
        ("port", "nothing listens at the database's address"),
        ("host", "cannot resolve the database's host"),
        ("first password", "vault needs the password of vaultdb_vault"),
    ],
)
def test_a_database_that_vault_cannot_use_is_explained(
    place: Place, database: Database, wrong: str, reason: str
) -> None:
    spec = place.leases(database)
    changed = place.leases(database, **with_change(database, spec, wrong=wrong))
    with pytest.raises((VaultError, ConfigurationError), match=reason):
        place.set_up(place.spec(leases=changed))


def test_after_rotate_root_only_vault_knows_the_engines_password(
    place: Place, database: Database
) -> None:
    spec = place.spec(leases=place.leases(database))
    place.set_up(spec, rotate=True)
    try:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(database.url_for(ENGINE))
        later = place.spec(leases=place.leases(database, password=None))
        assert place.differing(later) == []
        assert place.admin.read(f"db-{place.mark}/creds/vaultdb-app-ro")["data"]["username"]
        place.admin.write(f"sys/leases/revoke-prefix/db-{place.mark}", sync=True)
    finally:
        database.postgres.set_up(database.name)


def test_roles_log_in_by_jwt_when_they_are_told_to(place: Place) -> None:
    spec = place.spec(jwt=JwtSpec(((Role.APP, "clinic:app"),), mount=f"jwt-{place.mark}"))
    with pytest.raises(ConfigurationError, match=r"has no jwt login at jwt-.*configure its keys"):
        place.set_up(spec)
    place.admin.write(f"sys/auth/jwt-{place.mark}", type="jwt")
    try:
        assert [step.what for step in place.differing(spec)] == ["jwt role vaultdb-app"]
        assert place.differing(spec) == []
    finally:
        place.admin._call("DELETE", f"sys/auth/jwt-{place.mark}", None)
