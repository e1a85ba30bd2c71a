"""Whatever is wrong, the command line says so in one line, without traceback and without secret."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database, Postgres
from tests.integration.cli.conftest import Ran, Run, write_settings
from vaultdb.dev.certificates import Certificates, ensure_certificates


@pytest.fixture
def change(settings_file: Path) -> Callable[[str, str], None]:
    """Replace something in the settings file, everywhere."""

    def change(pattern: str, replacement: str) -> None:
        text, count = re.subn(pattern, replacement, settings_file.read_text())
        assert count
        settings_file.write_text(text)

    return change


Change = Callable[[str, str], None]


@pytest.fixture
def other_authority(tmp_path: Path) -> Certificates:
    """An authority that signed neither server."""
    return ensure_certificates(tmp_path / "other")[0]


def test_a_folder_without_settings_is_told_what_to_set(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run("keys", "list").failed_with("setting realm is missing: set VAULTDB_REALM")


def test_no_database_url(run: Run, change: Change) -> None:
    change(r"(?m)^url = .*$", "")
    assert run("keys", "list").failed_with("database.url is missing: set VAULTDB_URL")
    assert run("migrate", "up").failed_with("set VAULTDB_MIGRATE_URL")


def test_no_vault_address(run: Run, change: Change) -> None:
    change(r"(?m)^addr = .*$", "")
    assert run("keys", "create").failed_with("VAULTDB_VAULT_ADDR")


def test_a_vault_that_cannot_be_reached_is_named(run: Run, change: Change) -> None:
    change(r"(?m)^addr = .*$", 'addr = "https://127.0.0.1:1"')
    ran = run("keys", "create")
    assert ran.failed_with("127.0.0.1:1")
    assert "FAIL  keys" in run("doctor").out


def test_a_vault_of_another_authority(
    run: Run, change: Change, other_authority: Certificates
) -> None:
    change(r"(?m)^ca_cert = .*$", f'ca_cert = "{other_authority.authority}"')
    assert run("rotate", "--plan").failed_with("certificate")


def test_a_wrong_secret_id(run: Run, change: Change) -> None:
    change(r"(?m)^secret_id = .*$", f'secret_id = "{uuid4()}"')
    assert run("keys", "create").failed_with("the approle login was refused")


def test_a_kek_that_does_not_exist(run: Run, change: Change) -> None:
    change(r"(?m)^kek = .*$", 'kek = "nothing"')
    assert run("keys", "create").failed_with("permission denied")


def test_a_sealed_vault(
    run: Run, own_openbao: OpenBao, database: Database, settings_file: Path
) -> None:
    write_settings(settings_file, database, own_openbao)

    def run_sealed() -> Ran:
        own_openbao.admin.write("sys/seal")
        return run("rotate", "--plan")

    # It unseals itself again after some seconds, at worst before the command has asked.
    assert any(run_sealed().failed_with("sealed") for _ in range(5))


def test_the_application_may_neither_create_nor_rotate(run: Run, settings_file: Path) -> None:
    text = settings_file.read_text()
    app_only = re.sub(r"(?ms)^\[role\.(officer|rotator)\.vault\].*?(?=^\[|\Z)", "", text)
    settings_file.write_text(app_only)
    assert run("keys", "create").failed_with("vault answered 403, permission denied")
    rotated = run("rotate", "--kek", "--yes", "--json")
    assert rotated.code == 1
    assert rotated.json["left"] == [
        "the KEK; run where the rotator's login is: vaultdb rotate --kek"
    ]


def test_the_applications_database_login_may_not_create_keys(run: Run, settings_file: Path) -> None:
    text = settings_file.read_text()
    settings_file.write_text(re.sub(r"(?ms)^\[role\.officer\.database\].*?(?=^\[|\Z)", "", text))
    assert run("keys", "create").failed_with("cannot add a data key: permission denied")


def test_an_unmigrated_database(
    run: Run, settings_file: Path, postgres: Postgres, openbao: OpenBao
) -> None:
    empty = postgres.create_database(template="template0")
    try:
        write_settings(settings_file, empty, openbao)
        for command in (
            ("keys", "list"),
            ("keys", "create"),
            ("rotate", "--yes"),
            ("keys", "verify"),
        ):
            assert run(*command).failed_with("run: vaultdb migrate up"), command
        doctor = run("doctor")
        assert doctor.code == 1
        assert "FAIL  schema      revision none, newest 0002; run: vaultdb migrate up" in doctor.out
    finally:
        postgres.drop_database(empty.name)


def test_a_database_of_another_realm(run: Run, change: Change) -> None:
    change(r"(?m)^realm = .*$", f'realm = "{uuid4()}"')
    commands = (("keys", "list"), ("keys", "create"), ("rotate", "--yes"), ("migrate", "up"))
    for command in commands:
        assert run(*command).failed_with("this database belongs to realm"), command
    assert "FAIL  realm" in run("doctor").out


def test_keys_of_another_realm_in_the_table_are_not_seen(
    run: Run, settings_file: Path, database: Database
) -> None:
    run("keys", "create")
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE vaultdb.data_key SET realm = %s", (uuid4(),))
    assert run("keys", "list", "--json").json == []
    assert run("rotate", "--plan", "--json").json["kek"]["keys"] == 0


def test_the_applications_login_may_not_migrate(
    run: Run, settings_file: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_MIGRATE_URL", database.url)
    assert run("migrate", "up").failed_with("vaultdb_app is a member of vaultdb_rw")


def test_the_migrator_as_the_application_is_noticed(
    run: Run, settings_file: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_URL", database.migrate_url)
    assert "FAIL  login" in run("doctor").out


def test_a_wrong_password(run: Run, database: Database, settings_file: Path) -> None:
    for role in ("VAULTDB_PASSWORD", "VAULTDB_MIGRATOR_PASSWORD"):
        settings_file.touch()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(role, "hunter2-wrong")
            command = ("migrate", "up") if "MIGRATOR" in role else ("keys", "list")
            ran = run(*command)
        assert ran.failed_with("password authentication failed for user")
        assert "hunter2" not in ran.err


def test_a_wrong_authority_of_the_database(
    run: Run,
    settings_file: Path,
    other_authority: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VAULTDB_SSLROOTCERT", str(other_authority.authority))
    assert run("keys", "list").failed_with(
        "unable to get local issuer certificate; set VAULTDB_SSLROOTCERT"
    )


def test_an_unreachable_database(
    run: Run, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_URL", "postgresql://app@127.0.0.1:1/clinic")
    assert run("keys", "list").failed_with("Connection refused; start the server")
    monkeypatch.setenv("VAULTDB_URL", "postgresql://app@nowhere.invalid/clinic")
    assert run("keys", "list").failed_with("; correct the host in VAULTDB_URL")
    monkeypatch.setenv("VAULTDB_URL", "postgresql:///clinic?host=/nowhere")
    assert run("keys", "list").failed_with("; start the server, or correct the host")
    assert "FAIL  database" in run("doctor").out


def test_a_weaker_transport_is_refused(
    run: Run, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_URL", "postgresql://app@127.0.0.1:1/clinic?sslmode=require")
    assert run("keys", "list").failed_with("sslmode=require, which does not check who")


def test_another_driver_than_psycopg_is_refused(
    run: Run, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_URL", "postgresql+asyncpg://app@127.0.0.1/clinic")
    assert run("keys", "list").failed_with("vaultdb works with psycopg 3")


def test_keys_in_memory_are_out_of_reach(
    run: Run, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_KEYS", "memory")
    assert run("rotate", "--yes").failed_with('this needs keys = "vault" or "local"')


def test_an_unknown_key_provider(
    run: Run, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_KEYS", "aws")
    assert run("keys", "create").failed_with("no package provides the key provider 'aws'")


def test_local_keys_work_without_vault(
    run: Run, settings_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_KEYS", "local")
    monkeypatch.setenv("VAULTDB_LOCAL_KEK_FILE", str(tmp_path / "kek"))
    assert run("keys", "create").failed_with("kek")


def test_an_unknown_command_line_option(run: Run) -> None:
    ran = run("rotate", "--nonsense")
    assert ran.code == 2
    assert "No such option" in ran.err


def test_an_unknown_revision(run: Run, settings_file: Path) -> None:
    for command in (("up", "--to", "9"), ("down", "9", "--yes"), ("sql", "--to", "9")):
        ran = run("migrate", *command)
        assert ran.failed_with("there is no revision 9; known: base, 0001, 0002, head")
        assert not ran.out


def test_a_keyset_without_a_name(run: Run, settings_file: Path) -> None:
    assert run("keys", "create", "--keyset", "").failed_with("--keyset is empty")


def test_models_that_cannot_be_imported(run: Run, settings_file: Path) -> None:
    settings_file.with_name("broken_models.py").write_text("raise ValueError('hunter2')")
    ran = run("names", "check", "--model", "broken_models:Base")
    assert ran.failed_with("importing it raised ValueError; to see where: python -c")
    assert "hunter2" not in ran.err


def test_nothing_but_json_and_no_progress_bar_in_a_log(run: Run, settings_file: Path) -> None:
    assert run("keys", "create", "--json").code == 0
    assert run("rotate", "--yes").err == ""


def test_an_unknown_profile(run: Run, settings_file: Path) -> None:
    assert run("--profile", "prod", "keys", "list").failed_with("there is no [profile.prod]")


def test_what_nobody_foresaw_shows_neither_text_nor_traceback(
    run: Run, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vaultdb.db.keystore import PostgresKeyStore

    def broken(*_: object) -> None:
        raise RuntimeError("hunter2 is the password")

    monkeypatch.setattr(PostgresKeyStore, "all", broken)
    ran = run("keys", "list")
    assert (ran.code, "hunter2" in ran.out + ran.err) == (70, False)
    assert ran.err.startswith("error: unexpected RuntimeError; run again with --debug")
    debug = run("--debug", "keys", "list")
    assert "in list_keys" in debug.err
    assert "hunter2" not in debug.err.replace('RuntimeError("hunter2 is the password")', "")
