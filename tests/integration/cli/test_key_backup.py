"""``vaultdb keys backup | restore | manifest``: the key table apart from ordinary dumps."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

import vaultdb
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database, Postgres
from tests.integration.cli.conftest import Run, write_settings
from vaultdb import Encrypted
from vaultdb.dev.binaries import find_postgres
from vaultdb.errors import VaultDBError
from vaultdb.settings import Settings

metadata = MetaData()
patient = Table(
    "Odd patient",
    metadata,
    Column("select", Integer, primary_key=True),
    Column("name", Encrypted(str)),
)
WITHOUT_KEYS = "--exclude-table-data=vaultdb.data_key"
DESTROY = "UPDATE vaultdb.data_key SET state = 'destroyed', wrapped = '' WHERE tenant = 'gone'"


@pytest.fixture
def folder(settings_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the setting."""
    folder = tmp_path / "backups"
    folder.mkdir()
    monkeypatch.setenv("VAULTDB_KEY_BACKUP_FOLDER", str(folder))
    return folder


def names(settings_file: Path) -> dict[int, str]:
    """Read the patients as the application does."""
    engine = vaultdb.create_engine(settings=Settings.load(file=settings_file))
    try:
        with engine.connect() as connection:
            return dict(map(tuple, connection.execute(select(patient))))
    finally:
        engine.dispose()


def fill(settings_file: Path, *rows: tuple[int, str]) -> None:
    engine = vaultdb.create_engine(settings=Settings.load(file=settings_file))
    with engine.begin() as connection:
        connection.execute(insert(patient), [{"select": key, "name": name} for key, name in rows])
    engine.dispose()


def program(name: str, *arguments: str) -> None:
    command = [str(find_postgres().folder / name), *arguments]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr


def dump(database: Database, path: Path, *options: str) -> None:
    program("pg_dump", "-Fc", "--dbname", database.admin_url, "--file", str(path), *options)


@contextmanager
def restored(postgres: Postgres, path: Path) -> Iterator[Database]:
    """Restore a dump into a new database of a cluster that has the roles."""
    name = f"restored_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        new = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        connection.execute(new)
    database = Database(postgres, name)
    try:
        program("pg_restore", "--exit-on-error", "--dbname", database.admin_url, str(path))
        postgres.set_up(name)  # as `vaultdb roles apply` does: a dump brings no logins
        yield database
    finally:
        postgres.drop_database(name)


def key_count(database: Database) -> int:
    with database.connect() as connection:
        row = connection.execute("SELECT count(*) FROM vaultdb.data_key").fetchone()
    assert row is not None
    return int(row[0])


def test_an_ordinary_dump_and_a_key_backup_make_a_new_cluster_readable(  # noqa: PLR0917  # fixtures
    run: Run,
    settings_file: Path,
    folder: Path,
    database: Database,
    postgres17: Postgres,
    openbao: OpenBao,
    tmp_path: Path,
) -> None:
    """The whole drill: dump without keys, back the keys up, lose everything, restore both."""
    assert run("keys", "create").code == 0
    assert run("keys", "create", "--tenant", "gone").code == 0
    with database.connect() as connection:
        connection.execute(DESTROY)
    database.create_all(metadata)
    fill(settings_file, (1, "Ada"), (2, "Eve"))
    dump(database, tmp_path / "dump", WITHOUT_KEYS)
    assert run("keys", "backup").code == 0
    (backup,) = folder.iterdir()

    with restored(postgres17, tmp_path / "dump") as new:
        write_settings(settings_file, new, openbao)
        assert key_count(new) == 0
        with pytest.raises(VaultDBError):
            names(settings_file)
        plan = run("keys", "restore", str(backup), "--plan")
        assert "add 4 keys, leave 0 keys as they are" in plan.out
        assert key_count(new) == 0
        ran = run("keys", "restore", str(backup), "--yes")
        assert (ran.code, ran.err) == (0, "")
        assert names(settings_file) == {1: "Ada", 2: "Eve"}
        assert {key["tenant"]: key["state"] for key in run("keys", "list", "--json").json} == {
            "": "active",
            "gone": "destroyed",
        }
        again = run("keys", "restore", str(backup), "--yes")
        assert "add 0 keys, leave 4 keys as they are" in again.out


def test_a_dump_without_the_key_table_holds_no_wrapped_key_and_one_with_it_does(
    run: Run, settings_file: Path, database: Database, tmp_path: Path
) -> None:
    run("keys", "create")
    for name, options in (("without", [WITHOUT_KEYS]), ("with", [])):
        program("pg_dump", "--dbname", database.admin_url, "--file", str(tmp_path / name), *options)
    with database.connect() as connection:
        wrapped = connection.execute("SELECT wrapped FROM vaultdb.data_key").fetchall()
    dumped = {name: (tmp_path / name).read_bytes() for name in ("with", "without")}
    assert wrapped
    assert all(key.encode() in dumped["with"] for (key,) in wrapped)
    assert not any(key.encode() in dumped["without"] for (key,) in wrapped)
    assert b"CREATE TABLE vaultdb.data_key" in (tmp_path / "without").read_bytes()


def test_a_destroyed_key_is_never_revived_by_an_older_backup(
    run: Run, settings_file: Path, folder: Path, database: Database
) -> None:
    run("keys", "create", "--tenant", "gone")
    before = run("keys", "backup", "--json").json["file"]
    with database.connect() as connection:
        connection.execute(DESTROY)
    ran = run("keys", "restore", before, "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert "leave 2 keys of the file destroyed" in ran.out

    newer = run("keys", "backup", "--json").json
    assert newer["tombstones"] == 2
    with database.connect() as connection:
        connection.execute("TRUNCATE vaultdb.data_key")
    ran = run("keys", "restore", before, "--yes", "--json")
    assert (ran.code, ran.json["added"]) == (0, 2)
    assert {key["state"] for key in run("keys", "list", "--json").json} == {"destroyed"}


def test_a_restore_over_an_older_table_destroys_restricts_and_rewraps(
    run: Run, settings_file: Path, folder: Path, database: Database
) -> None:
    """A dump with the key table in it was restored, and the key backup is newer."""
    for tenant in ("gone", "off", "rewrapped"):
        run("keys", "create", "--tenant", tenant, "--purpose", "data")
    with database.connect() as connection:
        connection.execute("CREATE TABLE saved AS SELECT * FROM vaultdb.data_key")
        connection.execute(DESTROY)
        connection.execute("UPDATE vaultdb.data_key SET state='disabled' WHERE tenant = 'off'")
        # other tests rotate the KEK that they share
        ((now,),) = connection.execute("SELECT max(kek_version) FROM vaultdb.data_key").fetchall()
        connection.execute(
            "UPDATE vaultdb.data_key SET kek_version = %s, wrapped = %s WHERE tenant = 'rewrapped'",
            (now + 1, f"vault:v{now + 1}:new"),
        )
    backup = run("keys", "backup", "--json").json["file"]
    with database.connect() as connection:
        connection.execute("TRUNCATE vaultdb.data_key")
        connection.execute("INSERT INTO vaultdb.data_key SELECT * FROM saved")
    ran = run("keys", "restore", backup, "--yes")
    assert (ran.code, ran.err) == (0, "")
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT k.tenant, k.state, k.kek_version, k.wrapped_prev = s.wrapped"
            " FROM vaultdb.data_key k JOIN saved s USING (key_id)"
        ).fetchall()
    assert sorted(rows) == [
        ("gone", "destroyed", now, None),
        ("off", "disabled", now, None),
        ("rewrapped", "active", now + 1, True),
    ]


def test_the_application_may_write_a_backup_and_not_restore_one(
    run: Run, settings_file: Path, folder: Path, database: Database
) -> None:
    run("keys", "create")
    backup = run("keys", "backup", "--json").json["file"]
    with database.connect() as connection:
        connection.execute("TRUNCATE vaultdb.data_key")
    text = settings_file.read_text().replace(database.officer_url, database.url)
    settings_file.write_text(text)
    ran = run("keys", "restore", backup, "--yes")
    assert ran.code == 1
    assert "cannot add data keys: permission denied" in ran.err
    assert key_count(database) == 0


def test_a_key_in_anothers_place_is_named_and_left_alone(
    run: Run, settings_file: Path, folder: Path, database: Database
) -> None:
    run("keys", "create", "--purpose", "data")
    backup = run("keys", "backup", "--json").json["file"]
    with database.connect() as connection:
        connection.execute("TRUNCATE vaultdb.data_key")
    run("keys", "create", "--purpose", "data")
    ran = run("keys", "restore", backup, "--yes")
    assert ran.code == 1
    assert "conflict, left alone: key " in ran.out
    assert key_count(database) == 1


def test_a_backup_of_another_realm_and_a_damaged_one_are_refused(
    run: Run, settings_file: Path, folder: Path
) -> None:
    run("keys", "create")
    backup = Path(run("keys", "backup", "--json").json["file"])
    text = settings_file.read_text()
    settings_file.write_text(text.replace('realm = "6f', 'realm = "7f'))
    assert run("keys", "restore", str(backup), "--yes").failed_with("belongs to realm 6f")
    settings_file.write_text(text)
    backup.write_bytes(backup.read_bytes()[:-10])
    assert run("keys", "restore", str(backup), "--yes").failed_with("damaged or cut off")


def test_without_a_folder_the_command_says_which_setting_names_one(
    run: Run, settings_file: Path
) -> None:
    assert run("keys", "backup").failed_with("set keyring.backup_folder")


def test_a_manifest_names_the_living_keys_until_it_is_released(
    run: Run, settings_file: Path, database: Database, tmp_path: Path
) -> None:
    run("keys", "create")
    run("keys", "create", "--tenant", "gone")
    with database.connect() as connection:
        connection.execute(DESTROY)
    assert "no backup is recorded" in run("keys", "manifest", "list").out
    file = tmp_path / "weekly.json"
    recorded = run("keys", "manifest", "record", "weekly 1", "--days", "90", "--to", str(file))
    assert (recorded.code, recorded.err) == (0, "")
    assert recorded.out.startswith("recorded weekly 1: it needs 2 keys until ")
    living = {k["key_id"] for k in run("keys", "list", "--json").json if k["state"] == "active"}
    assert set(json.loads(file.read_text())["key_ids"]) == living
    assert run("keys", "manifest", "record", "weekly 1").failed_with("a name of its own")
    assert run("keys", "manifest", "add", str(file)).code == 0

    with database.connect() as connection:
        connection.execute("DELETE FROM vaultdb.backup_manifest")
    assert run("keys", "manifest", "add", str(file)).code == 0
    (listed,) = run("keys", "manifest", "list", "--json").json
    assert (listed["name"], set(listed["key_ids"])) == ("weekly 1", living)
    assert run("keys", "manifest", "release", "weekly 1").out == "released weekly 1\n"
    assert run("keys", "manifest", "release", "weekly 1").failed_with("no backup named")
    assert run("keys", "manifest", "list").out.rstrip().endswith("no")
    file.write_text(file.read_text().replace("weekly", "monthly"))
    assert run("keys", "manifest", "add", str(file)).failed_with("damaged")
