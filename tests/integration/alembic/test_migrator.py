"""The migrator changes tables and reads nothing: its policy in Vault has no key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vaultdb
from tests.fixtures.leasing import Leasing
from tests.fixtures.openbao import OpenBao
from tests.integration.alembic.tree import Project
from tests.integration.cli.conftest import Run
from vaultdb import encrypted
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.rights import ExcessRightsWarning
from vaultdb.errors import (
    ConfigurationError,
    DecryptionError,
    KeyDenied,
    VaultDenied,
    VaultRejected,
)
from vaultdb.jobs import keys
from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.settings import Settings
from vaultdb.vault.factory import new_client, new_provider
from vaultdb.vault.policies import Role, render_policy


class Base(DeclarativeBase):
    pass


class Secret(Base):
    __tablename__ = "secret"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str] = encrypted(str)


@pytest.fixture
def stored(leasing: Leasing) -> Leasing:
    """A row that the application encrypted under a key of its Vault."""
    leasing.database.create_all(Base.metadata)
    officer = leasing.settings("officer")
    with (
        closing(new_provider(officer)) as provider,
        closing(PostgresKeyStore(officer)) as store,
    ):
        scope = KeyScope("", "default", Purpose.DATA)
        keys.create(provider, store, officer.realm, scope, new_version=False)
    engine = vaultdb.create_engine(settings=leasing.settings("app"))
    with Session(engine) as session:
        session.add(Secret(id=1, value="999-17-5017"))
        session.commit()
    engine.dispose()
    return leasing


def test_the_policy_of_the_migrator_names_no_key() -> None:
    policy = render_policy(Role.MIGRATOR, mount="vaultdb-transit", kek="vaultdb")
    paths = {line.split('"')[1] for line in policy.splitlines() if line.startswith("path ")}
    assert {path for path in paths if "transit" in path} == {
        # the escrow's public key, and what certifies its process for the audit log
        "vaultdb-transit/keys/vaultdb-escrow",
        "vaultdb-transit/sign/vaultdb-writer-migrator",
    }


def test_the_migrator_reads_rows_and_keys_and_decrypts_neither(stored: Leasing) -> None:
    refused = vaultdb.create_engine(settings=stored.settings("migrator"))
    with pytest.raises(ConfigurationError), refused.connect():
        pass  # no application runs with a login that owns its tables
    refused.dispose()
    allowed = stored.settings("migrator", database={"allow_excess_rights": True})
    allowed._role = "migrator"  # as settings that were loaded for it have
    engine = vaultdb.create_engine(settings=allowed)
    with pytest.warns(ExcessRightsWarning):
        engine.connect().close()
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT wrapped FROM vaultdb.data_key")).all()
        assert rows[0].wrapped.startswith("vault:v")
        raw = connection.execute(sa.text("SELECT value FROM secret")).scalar_one()
    assert raw[:1] == b"\xf6"
    assert b"999" not in raw
    with (
        Session(engine) as session,
        pytest.raises((KeyDenied, VaultDenied, VaultRejected, DecryptionError)),
    ):
        session.get(Secret, 1)
    engine.dispose()


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("decrypt", {"ciphertext": "vault:v1:AAAA", "context": "AAAA"}),
        ("rewrap", {"ciphertext": "vault:v1:AAAA", "context": "AAAA"}),
        ("datakey/plaintext", {"context": "AAAA"}),
        ("encrypt", {"plaintext": "AAAA", "context": "AAAA"}),
        ("hmac", {"input": "AAAA"}),
    ],
)
def test_vault_denies_the_migrator_every_use_of_the_key(
    openbao: OpenBao, operation: str, body: dict[str, str]
) -> None:
    vault = openbao.settings("migrator")
    url = f"/v1/{vault.transit_mount}/{operation}/{vault.kek}"
    with closing(new_client(vault)) as client, pytest.raises(VaultDenied):
        client.call(lambda hvac: hvac.adapter.post(url, json=body))


def test_the_app_may_use_the_key_in_the_same_way(stored: Leasing) -> None:
    """Otherwise a wrong path would pass as a denied one."""
    with stored.database.connect() as connection:
        wrapped = connection.execute("SELECT wrapped FROM vaultdb.data_key").fetchone()
    assert wrapped is not None
    vault = stored.settings("app").vault
    url = f"/v1/{vault.transit_mount}/decrypt/{vault.kek}"
    body = {"ciphertext": wrapped[0], "context": "AAAA"}
    with closing(new_client(vault)) as client, pytest.raises(VaultRejected):  # a wrong context
        client.call(lambda hvac: hvac.adapter.post(url, json=body))


def write_settings(path: Path, settings: Settings) -> None:
    database, vault = settings.database, settings.vault
    assert database.url is not None
    assert vault.secret_id is not None or vault.secret_id_file is not None
    sections = {
        "database": {
            "migrate_url": database.url.get_secret_value(),
            "sslrootcert": str(database.sslrootcert),
        },
        "role.migrator.database": {
            "lease": database.lease,
            "lease_mount": database.lease_mount,
            "url": database.url.get_secret_value(),
        },
        "role.migrator.vault": {
            key: value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
            for key, value in vault
            if value is not None and key in {"addr", "ca_cert", "role_id", "secret_id"}
        },
    }
    lines = [f'realm = "{settings.realm}"', 'migrations = "migrations"']
    for name, values in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def leased(project: Project, leasing: Leasing) -> Iterator[Project]:
    """The project with settings that lease the migrator's login from Vault."""
    write_settings(project.folder / "vaultdb.toml", leasing.settings("migrator"))
    yield project
    assert leasing.leased_users() == []  # given back


def test_vault_lends_the_migrator_a_login(run: Run, leased: Project) -> None:
    leased.table()
    up = run("migrate", "up", "--json")
    assert up.code == 0, up.err
    assert up.json["login"].startswith("v_vaultdb_migrator_")
    assert up.json["owner"] == "vaultdb_owner"
    owner = leased.query("SELECT tableowner::text FROM pg_tables WHERE tablename = 'patient'")
    assert owner == [("vaultdb_owner",)]
    plain = leased.alembic("downgrade", "base")
    assert plain.returncode == 0, plain.stderr
    assert not leased.has("patient")
