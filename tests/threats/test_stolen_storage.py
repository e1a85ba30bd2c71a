"""A dump, a replica, a disk, a backup: no plaintext of an encrypted column, and no key."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from tests.fixtures.postgres import Database
from tests.threats.conftest import ADA, VALUES, metadata, patient
from vaultdb.dev.binaries import find_postgres
from vaultdb.keys.data_key import KeyScope, Purpose


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
    """The search itself: a plaintext table is found by it."""
    attack.execute("CREATE TABLE leak AS SELECT %s::text AS email", [ADA["email"]])
    assert forms(ADA["email"])[0] in pg_dump(database)


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


def test_a_dump_holds_no_key(clinic, database, new_keyring):
    keyring = new_keyring(database.realm)
    store = keyring_store(keyring)
    dump = pg_dump(database)
    for purpose in Purpose:
        for key in store.by_scopes(database.realm, [KeyScope("", "default", purpose)]):
            assert key.key_id.hex().encode() in dump or purpose is Purpose.INDEX


def keyring_store(keyring):
    return next(v for v in vars(keyring).values() if hasattr(v, "by_scopes"))


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
