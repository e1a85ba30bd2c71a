"""Every command on real servers, as it is meant to be used."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.fixtures.postgres import Database
from tests.integration.cli.conftest import Run


def test_the_way_from_a_new_database_to_the_first_key(
    run: Run, settings_file: Path, database: Database
) -> None:
    assert run("migrate", "down", "base", "--yes").code == 0
    status = run("migrate", "status")
    assert status.code == 1
    assert "revision none, newest 0002" in status.out
    up = run("migrate", "up")
    assert (up.code, up.err) == (0, "")
    assert "applied 0001" in up.out
    assert "owner vaultdb_owner" in up.out
    assert "granted to vaultdb_rw, vaultdb_ro, vaultdb_officer, vaultdb_rotator" in up.out
    assert "the schema was up to date" in run("migrate", "up").out
    assert run("migrate", "status", "--json").json["pending"] == []

    doctor = run("doctor")
    assert doctor.code == 1
    assert "tenant - has no data key in keyset default; run: vaultdb keys create" in doctor.out
    created = run("keys", "create")
    assert (created.code, created.out.count("created ")) == (0, 2)
    doctor = run("doctor")
    assert (doctor.code, "FAIL" in doctor.out) == (0, False), doctor.out
    assert [finding["ok"] for finding in run("doctor", "--json").json] == [True] * 9


def test_doctor_sees_the_encryption_of_a_login_that_takes_a_role(
    run: Run, settings_file: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The migrator is vaultdb_owner from login on, and that role sees no session's TLS."""
    monkeypatch.setenv("VAULTDB_URL", database.migrate_url)
    findings = {finding["check"]: finding for finding in run("doctor", "--json").json}
    assert findings["transport"]["detail"] == "TLSv1.3"
    assert not findings["login"]["ok"]


def test_creating_keys_again_changes_nothing_unless_asked(run: Run, settings_file: Path) -> None:
    first = run("keys", "create", "--tenant", "acme", "--purpose", "data", "--json").json
    again = run("keys", "create", "--tenant", "acme", "--purpose", "data", "--json").json
    assert (first[0]["created"], again[0]["created"]) == (True, False)
    assert first[0]["key_id"] == again[0]["key_id"]
    new = run("keys", "create", "--tenant", "acme", "--purpose", "data", "--new-version")
    assert "version 2" in new.out
    listed = run("keys", "list", "--json").json
    assert [(key["tenant"], key["version"]) for key in listed] == [("acme", 1), ("acme", 2)]
    assert "acme    default  data" in run("keys", "list").out
    scopes = run("keys", "status", "--json").json["scopes"]
    assert [(scope["active"], scope["versions"]) for scope in scopes] == [(2, 2)]


def test_nothing_shows_a_wrapped_key(run: Run, settings_file: Path) -> None:
    run("keys", "create")
    outputs = [run("keys", "list"), run("keys", "list", "--json"), run("keys", "status")]
    assert not any("vault:v" in ran.out + ran.err for ran in outputs)


def test_an_empty_key_table_says_what_to_do(run: Run, settings_file: Path) -> None:
    assert "run: vaultdb keys create" in run("keys", "list").out
    assert run("keys", "list", "--json").json == []


def test_the_sql_for_a_dba_needs_no_server(run: Run, settings_file: Path) -> None:
    text = settings_file.read_text().replace("127.0.0.1", "127.0.0.2")
    settings_file.write_text(text)
    ran = run("migrate", "sql")
    assert ran.code == 0
    assert ran.out.startswith("-- run as the role that is to own the objects, best vaultdb_owner\n")
    assert "BEGIN;\n\nCREATE SCHEMA IF NOT EXISTS vaultdb;" in ran.out
    assert "CREATE DOMAIN vaultdb.envelope" in ran.out


def test_a_plan_comes_before_anything_is_destroyed(
    run: Run, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("keys", "create")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    refused = run("migrate", "down", "base")
    assert refused.code == 1
    assert "this destroys 2 data keys and every value encrypted under them" in refused.out
    assert run("migrate", "down", "base", "--yes").failed_with("--destroy-keys")
    assert len(run("keys", "list", "--json").json) == 2
    assert run("migrate", "down", "base", "--yes", "--destroy-keys").code == 0


MODELS = """
    from __future__ import annotations
    from sqlalchemy import Column, Integer, MetaData, Table
    import vaultdb.orm.types as types

    metadata = MetaData()
    patient = Table(
        "patient", metadata, Column("id", Integer, primary_key=True),
        Column("{column}", types.Encrypted(str)),
        Column("free", types.Encrypted(int, bind="column")),
    )
"""


@pytest.fixture
def models(settings_file: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with one table; the table is in the database."""
    module = f"models_{database.name}"
    path = settings_file.parent / f"{module}.py"
    path.write_text(textwrap.dedent(MODELS.format(column="ssn")))
    with database.connect() as connection:
        connection.execute("CREATE TABLE patient (id int PRIMARY KEY, ssn bytea, free bytea)")
        connection.execute("GRANT SELECT, INSERT ON patient TO vaultdb_rw")
    monkeypatch.delitem(sys.modules, module, raising=False)
    return f"{module}:metadata"


def test_names_are_checked_and_recorded(run: Run, models: str) -> None:
    check = run("names", "check", "--model", models)
    assert check.code == 1
    assert "new patient.ssn (patient.ssn, str)" in check.out
    assert "recorded 2 new" in run("names", "sync", "--model", models).out
    assert run("names", "check", "--model", models).out == "all names are recorded\n"
    assert run("names", "check", "-m", models, "--json").json["clean"] is True
    assert "retired patient.free" in run("names", "retire", "patient.free").out
    assert run("names", "check", "--model", models).code == 1


def test_names_are_those_of_the_models_in_the_settings(
    run: Run, models: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("names", "check").failed_with("set models in vaultdb.toml")
    monkeypatch.setenv("VAULTDB_MODELS", models)
    assert "recorded 2 new" in run("names", "sync").out
    assert run("names", "check").code == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("patient", "write MODULE:NAME"),
        ("no.such.module:x", "No module named"),
        ("json:nothing", "has no attribute"),
        ("json:dumps", "is no declarative base, model or MetaData"),
    ],
)
def test_a_model_that_cannot_be_found_is_named(
    run: Run, settings_file: Path, name: str, message: str
) -> None:
    assert run("names", "check", "--model", name).failed_with(message)


def store_patient(settings_file: Path, database: Database) -> None:
    """Encrypt one row as the application would, without its ORM."""
    from contextlib import closing

    from vaultdb.crypto.associated_data import ColumnIdentity
    from vaultdb.crypto.codec import codec_for
    from vaultdb.crypto.frame import build_frame
    from vaultdb.crypto.nonce import nonce_tails
    from vaultdb.crypto.row_binding import COLUMN_ONLY, KeyTag, encode_key_part, row_binding
    from vaultdb.db.keystore import PostgresKeyStore
    from vaultdb.settings import Settings
    from vaultdb.vault.factory import new_keyring

    settings = Settings.load(file=settings_file)
    row = row_binding([(KeyTag.INTEGER, encode_key_part(KeyTag.INTEGER, 7))])
    values = [("patient.ssn", "999-17-5017", row), ("patient.free", 42, COLUMN_ONLY)]
    with closing(PostgresKeyStore(settings.database)) as store:
        keyring = new_keyring(settings, store)
        key = keyring.active("", "default")
        envelopes = []
        for (name, value, binding), tail in zip(values, nonce_tails(2), strict=True):
            codec = codec_for(type(value))
            frame = build_frame(codec.encode(value), codec.version, pad=codec.default_pad)
            identity = ColumnIdentity(name, codec.type_tag)
            envelopes.append(key.encrypt(identity, frame, binding, tail))
        keyring.close()
    with database.connect() as connection:
        connection.execute("INSERT INTO patient VALUES (7, %b, %b)", envelopes)
        connection.execute("INSERT INTO patient VALUES (8, %b, NULL)", [envelopes[0]])


def test_support_reads_one_value_with_a_reason(
    run: Run, models: str, settings_file: Path, database: Database
) -> None:
    run("keys", "create")
    store_patient(settings_file, database)
    without = ("decrypt", "patient", "ssn", "id=7", "--reason", "ticket 12")
    assert run(*without).failed_with("no logical name is recorded for patient.ssn")
    with_model = run(*without, "--model", models)
    assert (with_model.code, with_model.out) == (0, "999-17-5017\n"), with_model.err
    assert "patient.ssn of id=7, read by" in with_model.err
    assert "ticket 12" in with_model.err
    run("names", "sync", "--model", models)
    assert run(*without).out == "999-17-5017\n"
    assert run("decrypt", "patient", "free", "id=7", "--reason", "x", "--json").json["value"] == 42
    assert run("decrypt", "patient", "free", "id=8", "--reason", "x").out == "NULL\n"
    moved = run("decrypt", "patient", "ssn", "id=8", "--reason", "x")
    assert moved.failed_with("the stored value cannot be decrypted")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "ssn", "id=7"), "there is no table nothing"),
        (("patient", "nothing", "id=7"), "has no column nothing"),
        (("patient", "ssn", "7"), "write the primary key as COLUMN=VALUE"),
        (("patient", "ssn", "name=7"), "table patient is keyed by id="),
        (("patient", "ssn", "id=seven"), "does not fit its type"),
        (("patient", "ssn", "id=99"), "there is no row"),
        (("patient", "id", "id=7"), "no logical name is recorded for patient.id"),
    ],
)
def test_a_value_that_cannot_be_found_is_explained(
    run: Run,
    models: str,
    settings_file: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    run("names", "sync", "--model", models)
    assert run("decrypt", *arguments, "--reason", "x").failed_with(message)


def test_a_value_of_another_tenant_needs_its_name(
    run: Run, models: str, settings_file: Path, database: Database
) -> None:
    run("keys", "create")
    run("names", "sync", "--model", models)
    store_patient(settings_file, database)
    ran = run("decrypt", "patient", "ssn", "id=7", "--reason", "x", "--tenant", "acme")
    assert ran.failed_with("encrypted for another tenant than acme")


def test_an_empty_reason_is_no_reason(run: Run, settings_file: Path) -> None:
    assert run("decrypt", "patient", "ssn", "id=7", "--reason", " ").failed_with("give a reason")


@pytest.mark.parametrize(
    "command",
    ["dev", "doctor", "migrate", "names", "keys", "rotate", "decrypt", "keys create", ""],
)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    ran = run(*command.split(), "--help")
    assert ran.code == 0
    assert "Usage" in ran.out


def test_a_misspelt_command_is_refused(run: Run) -> None:
    ran = run("rotat")
    assert ran.code == 2
    assert "No such command 'rotat'" in ran.err


def test_help_comes_without_heavy_imports() -> None:
    script = (
        "import sys; sys.argv = ['vaultdb', '--help']\n"
        "from vaultdb.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlalchemy', 'hvac', 'psycopg', 'pydantic', 'alembic', 'cryptography'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
