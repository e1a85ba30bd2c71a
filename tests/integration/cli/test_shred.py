"""``vaultdb keys shred``: a tenant's values are gone from every backup, and nobody else's."""

from __future__ import annotations

import io
import json
import re
import secrets
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

import vaultdb
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.cli.conftest import Run, write_settings
from tests.integration.cli.test_key_backup import WITHOUT_KEYS, dump, restored
from vaultdb import Encrypted, Equality
from vaultdb.errors import DevStackError, VaultDBError
from vaultdb.jobs.keybackup.manifest_file import digest
from vaultdb.settings import Settings
from vaultdb.vault.policies import render_policy
from vaultdb.vault.tenant_kek import tenant_kek

MODEL = ("--model", f"{__name__}:metadata")
metadata = MetaData()
patient = Table(
    "Odd 100% patient",
    metadata,
    Column("select", Integer, primary_key=True),
    Column("clinic", String(40), primary_key=True),
    Column("name", Encrypted(str, keyset="own", tenant_column="clinic", index=Equality())),
    Column("email", Encrypted(str, keyset="own", tenant_column="clinic", index=Equality()),
           nullable=False),
)  # fmt: skip
ACME = f"acme {secrets.token_hex(4)}"
"""To be destroyed; its key in Vault is nobody else's."""
OTHER = f"umbrella {secrets.token_hex(4)}"
INDEXES = ("name_index", "email_index")


@pytest.fixture
def vault(
    openbao: OpenBao, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OpenBao:
    """The shared Vault, with a settings file for tenants that have keys of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key backups").mkdir()
    configure(database, openbao, tmp_path)
    return openbao


def configure(database: Database, vault: OpenBao, folder: Path) -> None:
    write_settings(folder / "vaultdb.toml", database, vault)
    with (folder / "vaultdb.toml").open("a") as file:
        file.write(
            f'[keysets.own]\nkek = "tenant"\n'
            f"[keyring]\nbackup_folder = {json.dumps(str(folder / 'key backups'))}\n"
            f'[role.shredder.database]\nurl = "{database.rotator_url}"\n'
            f"[role.shredder.vault]\n"
        )
        for key, value in {**vault.values(), **shredder_login(vault, database)}.items():
            if not key.endswith("_id"):
                file.write(f"{key} = {json.dumps(value)}\n")


def shredder_login(vault: OpenBao, database: Database) -> dict[str, str]:
    """Return a login that is made for the day that it is needed, for this tenant alone."""
    name = tenant_kek(vault.kek, database.realm, ACME)
    policy = render_policy("shredder", mount=vault.transit_mount, kek=vault.kek, tenant_keks=name)
    vault.admin.write("sys/policies/acl/shred-acme", policy=policy)
    made = vault.admin.write(
        "auth/token/create", policies=["shred-acme"], no_default_policy=True,
        display_name="break-glass",
    )  # fmt: skip
    return {"auth": "token", "token": made["auth"]["client_token"]}


def fill(run: Run, database: Database, *tenants: str) -> None:
    for tenant in tenants:
        assert run("keys", "create", "--tenant", tenant, "--keyset", "own").code == 0
    database.create_all(metadata)
    with database.connect() as connection:
        connection.execute('GRANT SELECT, UPDATE ON "Odd 100% patient" TO vaultdb_rotator')
    engine = vaultdb.create_engine(settings=Settings.load())
    for tenant in tenants:
        with vaultdb.acting_as("test", tenant=tenant), engine.begin() as connection:
            rows = [
                {"select": n, "clinic": tenant, "name": f"{tenant} {n}", "email": f"{n}@{tenant}"}
                for n in range(5)
            ]
            connection.execute(insert(patient), rows)
    engine.dispose()


def readable(tenant: str) -> list[str | None]:
    """Read the names of a tenant as the application does."""
    engine = vaultdb.create_engine(settings=Settings.load())
    try:
        with vaultdb.acting_as("test", tenant=tenant), engine.connect() as connection:
            order = patient.c.select
            chosen = select(patient.c.name).where(patient.c.clinic == tenant).order_by(order)
            return list(connection.scalars(chosen))
    finally:
        engine.dispose()


NAMES = {tenant: [f"{tenant} {n}" for n in range(5)] for tenant in (ACME, OTHER)}


def index_values(database: Database, tenant: str) -> list[tuple[bytes | None, bytes]]:
    with database.connect() as connection:
        return connection.execute(
            f'SELECT {", ".join(INDEXES)} FROM "Odd 100%% patient" WHERE clinic = %s', [tenant]
        ).fetchall()


def test_a_shredded_tenant_is_unreadable_also_from_old_backups_and_others_stay_readable(
    run: Run, vault: OpenBao, database: Database, tmp_path: Path
) -> None:
    fill(run, database, ACME, OTHER)
    kek = f"{vault.transit_mount}/keys/{tenant_kek(vault.kek, database.realm, ACME)}"
    assert vault.admin.read(kek)
    dump(database, tmp_path / "with keys")
    dump(database, tmp_path / "without keys", WITHOUT_KEYS)
    assert run("keys", "manifest", "record", "weekly").code == 0
    keys_before = run("keys", "backup", "--json").json["file"]
    assert readable(ACME) == NAMES[ACME]
    umbrellas = index_values(database, OTHER)

    plan = run("keys", "shred", "--tenant", ACME, *MODEL, "--plan")
    assert (plan.code, plan.err) == (0, "")
    for line in (
        f"delete {kek}",
        "destroy 2 of 2 data keys",
        "5 values of public.Odd 100% patient.name unreadable",
        "backup weekly contains values",
        f"{Path(keys_before).name} has the keys until ",
    ):
        assert line in plan.out
    assert readable(ACME) == NAMES[ACME]

    done = run("keys", "shred", "--tenant", ACME, "--confirm", ACME, *MODEL,
               "--vault-snapshot-days", "30")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    with pytest.raises(DevStackError, match="404"):
        vault.admin.read(kek)
    with pytest.raises(VaultDBError):
        readable(ACME)
    assert readable(OTHER) == NAMES[OTHER]
    assert index_values(database, OTHER) == umbrellas
    emails = [email for _, email in index_values(database, ACME)]
    assert {name for name, _ in index_values(database, ACME)} == {None}
    assert len(set(emails)) == 5
    assert {email[:10] for email in emails} == {b"\xb1\x01" + bytes(8)}

    check_certificate(done.out, kek, database)
    with restored(database.postgres, tmp_path / "with keys") as old:
        configure(old, vault, tmp_path)
        with pytest.raises(VaultDBError):
            readable(ACME)
        assert readable(OTHER) == NAMES[OTHER]
    with restored(database.postgres, tmp_path / "without keys") as old:
        configure(old, vault, tmp_path)
        assert (
            "leave 2 keys of the file destroyed" in run("keys", "restore", keys_before, "--yes").out
        )
        with pytest.raises(VaultDBError):
            readable(ACME)
        assert readable(OTHER) == NAMES[OTHER]


def check_certificate(out: str, kek: str, database: Database) -> None:
    json_file, text_file = map(Path, re.findall(r"^certificate: (.*)$", out, re.MULTILINE))
    body = json.loads(json_file.read_text())
    said = body.pop("sha256")
    assert said == digest(body)
    assert (body["tenant"], body["kek"], body["kek_state"]) == (ACME, kek, "deleted")
    assert len(body["keys_destroyed"]) == 2
    assert body["values"] == {
        f"public.Odd 100% patient.{column}": 5 for column in ("name", "email")
    }
    assert body["index_rows"] == {"Odd 100% patient": 5}
    assert body["by"]["postgresql"] == "vaultdb_key_rotator"
    assert "break-glass" in body["by"]["vault"]
    remains = {each["what"]: each["until"] for each in body["remains"]}
    assert body["final_at"] == remains["snapshots of Vault's storage"]
    assert remains["data keys in the memory of running applications"] is not None
    text = text_file.read_text()
    assert f"Certificate of destruction: tenant {ACME!r}" in text
    assert said in text


def test_nothing_is_destroyed_without_the_tenants_name(
    run: Run, vault: OpenBao, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(run, database, ACME, OTHER)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    shred = ("keys", "shred", "--tenant", ACME, *MODEL)
    assert run(*shred, "--confirm", ACME.upper()).failed_with("nothing was done")
    unanswered = run(*shred)
    assert unanswered.code == 1
    assert "give it with --confirm" in unanswered.err
    assert run(*shred, "--yes").code == 2
    assert run(*shred, "--confirm", ACME, "--certificate", "none").failed_with("--certificate")
    assert run("keys", "shred", "--tenant", ACME, "--confirm", ACME).failed_with("--model")
    assert run("keys", "shred", "--tenant", "", "--confirm", "").failed_with("--tenant is empty")
    # This login was made for acme alone, so Vault refuses, and nothing has changed.
    other = run("keys", "shred", "--tenant", OTHER, "--confirm", OTHER, *MODEL)
    assert other.code == 1
    assert "permission denied" in other.err
    assert {tenant: readable(tenant) for tenant in NAMES} == NAMES
    listed = run("keys", "list", "--json").json
    assert {key["state"] for key in listed} == {"active"}


def test_a_tenant_under_the_realms_key_is_destroyed_as_far_as_possible_and_told_so(
    run: Run, vault: OpenBao, database: Database, tmp_path: Path
) -> None:
    fill(run, database, ACME)
    assert run("keys", "create", "--tenant", ACME).code == 0
    before = Path(run("keys", "backup", "--json").json["file"])
    shred = ("keys", "shred", "--tenant", ACME, "--confirm", ACME, *MODEL)
    refused = run(*shred)
    assert refused.code == 1
    assert "--accept-realm-kek" in refused.err
    assert "2 keys of these the realm's key-encryption key still opens" in refused.out
    assert readable(ACME) == NAMES[ACME]
    done = run(*shred, "--accept-realm-kek", "--json").json["certificate"]
    assert len(done["keys_destroyed"]) == 4
    remains = {each["what"]: each for each in done["remains"]}
    assert remains[f"backup of the key table {before.name}"]["until"] is not None
    assert done["final_at"] is None, "nobody said how long Vault's snapshots are kept"
