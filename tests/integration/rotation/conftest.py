"""A database with rows of several tenants, and the settings of every role that rotates."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

import vaultdb
from tests.fixtures.postgres import Database
from tests.integration.cli.conftest import URLS, Run, run
from tests.integration.rotation.models import Base, Bill, Note, Patient
from vaultdb.db.role_names import RoleNames
from vaultdb.engine.keyring import keyring_for
from vaultdb.orm import claims
from vaultdb.roles.statements import statements
from vaultdb.roles.wanted import wanted_facts
from vaultdb.settings import Settings
from vaultdb.vault.providers.local import LocalProvider

__all__ = ["Run", "run"]

MODELS = "tests.integration.rotation.models:Base"
PARTITIONS = """
    CREATE TABLE note_low PARTITION OF "Odd Note" FOR VALUES FROM (MINVALUE) TO (100);
    CREATE TABLE note_high PARTITION OF "Odd Note" FOR VALUES FROM (100) TO (MAXVALUE)
"""
PATIENTS = {"acme": 7, "beta": 3}


LIFETIMES = {"soft_ttl": 300, "hard_ttl": 900}
"""No refresh in the background while a test ends."""


@dataclass
class Clinic:
    """The application that is running while its keys change."""

    database: Database
    settings_file: Path

    @contextmanager
    def session(self, tenant: str) -> Iterator[Session]:
        """A new process of the application, which has no key in memory."""
        settings = Settings.load(file=self.settings_file, keyring=LIFETIMES)
        with (
            keyring_for(settings)() as keyring,
            disposing(vaultdb.create_engine(settings=settings, keyring=keyring)) as engine,
            vaultdb.acting_as("nurse", tenant=tenant),
            Session(engine) as session,
        ):
            yield session

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask as the superuser."""
        with self.database.connect() as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def disposing(engine: Engine) -> Iterator[Engine]:
    yield engine
    engine.dispose()


def write_local_settings(path: Path, database: Database, **top: Any) -> None:
    """Write settings of every role, with the KEK in a file: no Vault is asked."""
    kek = path.parent / "kek"
    kek.touch(mode=0o600)
    kek.write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
    lines = [f'realm = "{database.realm}"', 'keys = "local"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in top.items()]
    lines += ["[local]", f"kek_file = {json.dumps(str(kek))}"]
    lines += ["[keyring]", "soft_ttl = 0.1", "hard_ttl = 0.2"]
    lines += ["[database]", f"url = {json.dumps(database.url)}", "allow_excess_rights = true"]
    for role, url in URLS.items():
        lines += [f"[role.{role}.database]", f"url = {json.dumps(getattr(database, url))}"]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def clinic(run: Run, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """Ten patients of two tenants, three notes in two partitions, and two bills."""
    monkeypatch.setattr(LocalProvider, "_warn", lambda _self: None)
    claims.guard(Base.metadata.tables["bill"])  # tests/conftest.py forgets it before each test
    path = tmp_path / "vaultdb.toml"
    write_local_settings(path, database, models=MODELS)
    monkeypatch.chdir(tmp_path)
    database.create_all(Base.metadata)
    with database.connect() as connection:
        connection.execute("SET ROLE vaultdb_owner")
        connection.execute(PARTITIONS)
        connection.execute("RESET ROLE")
        apply_access(connection)
    clinic = Clinic(database, path)
    assert run("keys", "create", "--keyset", "notes", "--purpose", "data").code == 0
    for tenant, count in PATIENTS.items():
        assert run("keys", "create", "--tenant", tenant).code == 0
        with clinic.session(tenant) as session:
            emails = [f"{tenant}{n}@example.org" if n else None for n in range(count)]
            session.add_all([Patient(name=f"{tenant} {n}", email=e) for n, e in enumerate(emails)])
            session.add(Bill(tenant=tenant, amount="12.50"))
            session.commit()
    with clinic.session("") as session:
        session.add_all([Note(select=n, text=f"note {n}" if n else None) for n in (0, 1, 200)])
        session.commit()
    return clinic


def apply_access(connection: Any) -> None:
    """Grant what the models declare, as `vaultdb roles apply` would."""
    for statement in statements(wanted_facts(Base.metadata, RoleNames()), ()):
        connection.execute(statement)
