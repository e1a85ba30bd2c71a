"""A dump, a replica, a disk, a backup: no plaintext of an encrypted column, and no key."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from tests.fixtures.postgres import Database
from tests.threats.conftest import ADA, VALUES, metadata, patient
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.dev.binaries import find_postgres
from vaultdb.keys import KeyScope, Purpose, create_key
from vaultdb.settings import DatabaseSettings
from vaultdb.vault.providers.memory import MemoryProvider


def forms(value: str) -> list[bytes]:
    """Return how a value can lie in storage: as UTF-8, and as the hexadecimal of it."""
    raw = value.encode()
    return [raw, raw.hex().encode(), raw.hex().upper().encode()]


def pg_dump(database: Database, *options: str) -> bytes:
    program = find_postgres().folder / "pg_dump"
    command = [str(program), "--dbname", database.admin_url, *options]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, check=True, capture_output=True, env=environment).stdout


def test_a_value_would_be_found_if_it_were_there(clinic, database, attack):
    """The search itself: what is in the clear is found by it."""
    marker = "in.the@clear.example"  # not Ada's: other tests look for hers in the same files
    attack.execute("CREATE TABLE leak AS SELECT %s::text, %s::bytea", [marker, marker.encode()])
    dump = pg_dump(database)
    assert forms(marker)[0] in dump
    assert forms(marker)[1] in dump
    attack.execute("CHECKPOINT")
    assert any(forms(marker)[0] in content for content in files(database.postgres.server.data))


@pytest.mark.parametrize("options", [[], ["--inserts"]], ids=["COPY", "INSERT"])
def test_a_dump_shows_no_value(clinic, database, options):
    dump = pg_dump(database, *options)
    assert b"patient" in dump
    for value in VALUES:
        assert not any(form in dump for form in forms(value)), value


def test_the_files_and_the_write_ahead_log_show_no_value(clinic, database, attack):
    with clinic.begin() as connection:  # a search and an update as well, not only inserts
        connection.execute(select(patient).where(patient.c.email == ADA["email"])).all()
        connection.execute(update(patient).where(patient.c.id == 1).values(name=ADA["name"] + "!"))
    attack.execute("CHECKPOINT")
    searched = 0
    for content in files(database.postgres.server.data):
        searched += 1
        for value in VALUES:
            assert not any(form in content for form in forms(value)), value
    assert searched > 100


def files(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                yield path.read_bytes()
        except FileNotFoundError:  # the server removed it meanwhile
            continue


def test_the_servers_log_shows_no_value(clinic, database, attack):
    """Even with every statement and every parameter logged."""
    attack.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    attack.execute(f"ALTER DATABASE {database.name} SET log_min_duration_statement = 0")
    clinic.dispose()
    with clinic.begin() as connection:
        connection.execute(select(patient).where(patient.c.email == ADA["email"])).all()
        connection.execute(update(patient).where(patient.c.id == 1).values(name=ADA["name"]))
    log = database.postgres.server.log.read_bytes()
    for value in VALUES:
        assert not any(form in log for form in forms(value)), value


class Remembering(MemoryProvider):
    """A key provider that remembers the DEKs it made."""

    def __init__(self) -> None:
        super().__init__()
        self.deks: list[bytes] = []

    def create(self, context: bytes) -> tuple[bytes, str, int]:
        made = super().create(context)
        self.deks.append(made[0])
        return made


def test_a_dump_holds_no_key(database):
    provider = Remembering()
    store = PostgresKeyStore(DatabaseSettings(url=SecretStr(database.officer_url)))
    for purpose in Purpose:
        create_key(provider, store, database.realm, KeyScope("", "default", purpose), 1)
    store.close()
    dump = pg_dump(database)
    assert dump.count(b"vaultdb.data_key") > 0
    assert len(provider.deks) == 2
    for dek in provider.deks:
        for form in (dek, dek.hex().encode(), base64.b64encode(dek)):
            assert form not in dump


def test_what_a_dump_does_show_is_lengths_nulls_and_equality_under_an_index(clinic, attack):
    """The other half of the row in the threat table: this much is seen."""
    with clinic.begin() as connection:
        twin = {**ADA, "id": 3, "name": None}
        connection.execute(patient.insert(), [twin])
    index = next(c.name for c in patient.c if c.name.startswith("email") and c.name != "email")
    tags = dict(attack.execute(f"SELECT id, {index} FROM patient").fetchall())
    assert tags[1] == tags[3] != tags[2]
    stored = dict(attack.execute("SELECT id, email FROM patient").fetchall())
    assert stored[1] != stored[3]
    assert attack.execute("SELECT name FROM patient WHERE id = 3").fetchone() == (None,)
    sizes = attack.execute(
        "SELECT octet_length(name), octet_length(nickname) FROM patient"
    ).fetchall()
    assert sizes[0][0] == 60 + 32  # padded: 20 bytes of name to a multiple of 16
    assert metadata.tables
