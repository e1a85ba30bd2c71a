"""The example that adopts a plaintext table, from the first day to the erasure."""

from __future__ import annotations

import importlib
import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

import vaultdb
from tests.fixtures.postgres import Database
from tests.integration.cli.conftest import Run

EXAMPLE = Path(__file__).parents[3] / "examples" / "adopt"
STEPS = ("step1", "step2", "step3")


@pytest.fixture
def folder(database: Database, settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example, settings for every role, and the table of the first day."""
    folder = settings_file.parent
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    with database.connect("vaultdb_migrator") as connection:
        connection.execute((EXAMPLE / "before.sql").read_bytes())
    with database.connect() as connection:
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON customer TO vaultdb_rw")
    monkeypatch.setenv("VAULTDB_ADMIN_URL", database.admin_url)
    monkeypatch.setenv("VAULTDB_MIGRATIONS", "migrations")
    monkeypatch.syspath_prepend(folder)
    for step in STEPS:
        monkeypatch.delitem(sys.modules, step, raising=False)
    return folder


Vaultdb = Callable[..., str]


@pytest.fixture
def command(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Vaultdb:
    def command(*arguments: str, step: int, fails: int = 0) -> str:
        monkeypatch.setenv("VAULTDB_MODELS", f"step{step}:Base")
        ran = run(*arguments)
        assert ran.code == fails, ran.out + ran.err
        return ran.out + ran.err

    return command


@pytest.fixture
def shop(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Vaultdb:
    def shop(*arguments: str, step: int) -> str:
        monkeypatch.setattr(sys, "argv", ["shop.py", f"step{step}", *arguments])
        capsys.readouterr()
        found = runpy.run_path(str(folder / "shop.py"))
        found["engine"].dispose()
        return capsys.readouterr().out

    return shop


def test_a_plaintext_table_is_adopted_and_erased(
    database: Database, command: Vaultdb, shop: Vaultdb, folder: Path
) -> None:
    def adopt(name: str, *options: str, step: int, fails: int = 0) -> str:
        return command("adopt", name, "customer", "ssn", *options, step=step, fails=fails)

    # expand, and release models that write both
    command("migrate", "init", "migrations", "--model", "step1:Base", step=1)
    command("migrate", "up", step=1)
    command("keys", "create", step=1)
    command("migrate", "new", "expand", step=1)
    command("migrate", "up", step=1)
    assert "vaultdb adopt backfill customer" in command("adopt", "plan", step=1)
    printed = shop("new@example.org", "999-00-111111", "customer7@example.org", step=1)
    assert "customer7@example.org 999-07-000007 found by it: customer7@example.org" in printed

    # backfill; an old release changes a row behind the application's back: it is found again
    assert "encrypt 500 values" in adopt("backfill", "--plan", step=1)
    assert "encrypted 500 rows, 0 left" in adopt("backfill", "--workers", "2", "--yes", step=1)
    with database.connect("vaultdb_app") as connection:
        connection.execute("UPDATE customer SET ssn = '999-00-222222' WHERE id = 7")
    assert "row 7: not encrypted yet" in adopt("verify", step=1, fails=1)
    assert "1 of its values" in adopt("null", "--yes", step=1, fails=1)
    assert "encrypted 1 row, 0 left" in adopt("backfill", "--yes", step=1)
    assert "compared 501 rows, 0 differ" in adopt("verify", step=1)
    assert "no validated check" in adopt("null", "--yes", step=1, fails=1)

    # prove it, and switch reads
    assert "NOT VALID;" in adopt("check", step=1)
    assert "the check is validated" in adopt("check", "--apply", step=1)
    assert 'plaintext="empty"' in adopt("null", "--yes", step=1, fails=1)
    printed = shop("newer@example.org", "999-00-333333", "customer7@example.org", step=2)
    assert "customer7@example.org 999-00-222222 found by it" in printed

    _set_ssn("step2", "customer8@example.org", "999-00-555555")

    # contract
    assert "--drop-trigger" in adopt("null", "--yes", step=2, fails=1)
    assert "emptied 500 rows, 0 left" in adopt("null", "--drop-trigger", "--yes", step=2)
    command("migrate", "new", "contract", step=3)
    command("migrate", "up", step=3)
    printed = shop("last@example.org", "999-00-444444", "customer7@example.org", step=3)
    assert "customer7@example.org 999-00-222222 found by it" in printed
    assert columns(database) == ["email", "id", "ssn_encrypted", "ssn_encrypted_index"]

    assert "no column of the models replaces another" in command("adopt", "plan", step=3)

    # erase
    (folder / "values").write_text("999-09-000009\n999-10-000010\n")
    found = json.loads(adopt("status", "--values", "values", "--json", step=3, fails=2))
    assert places(found) >= {"table", "wal"}
    assert "still holds" not in adopt("erase", "--yes", step=3)
    decrypted = json.loads(adopt("status", "--samples", "20", "--json", step=3))
    assert (places(decrypted), decrypted["readable"]) == (set(), False)
    assert decrypted["samples"] >= 5


def _set_ssn(step: str, email: str, ssn: str) -> None:
    customer = importlib.import_module(step).Customer
    engine = vaultdb.create_engine()
    with Session(engine) as session, session.begin():
        session.scalars(sa.select(customer).where(customer.email == email)).one().ssn = ssn
    engine.dispose()


def places(found: dict[str, Any]) -> set[str]:
    return {each["kind"] for each in found["found"] if each["values"]}


def columns(database: Database) -> list[str]:
    with database.connect() as connection:
        found = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'customer'"
        )
        return sorted(name for (name,) in found)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("verify", "nowhere", "ssn"), "the models have no table nowhere"),
        (("verify", "customer", "email"), "no encrypted column email in table customer"),
        (("backfill", "customer", "ssn", "--from", "fernet"), "say where the old key is"),
        (("backfill", "customer", "ssn", "--key-file", "k"), "--from FORMAT"),
        (("status", "customer", "ssn", "--values", "nowhere"), "no such file or directory"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: Any, problem: str
) -> None:
    monkeypatch.setenv("VAULTDB_MODELS", "step1:Base")

    assert run("adopt", *arguments).failed_with(problem)


def test_a_key_on_the_command_line_is_refused(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_MODELS", "step1:Base")

    ran = run("adopt", "backfill", "customer", "ssn", "--from", "fernet", "--key", "c2VjcmV0")

    assert ran.failed_with("--key-file")
    assert "c2VjcmV0" not in ran.out + ran.err


def test_what_another_package_encrypted_is_imported_and_emptied(
    database: Database, command: Vaultdb, folder: Path
) -> None:
    from cryptography.fernet import Fernet

    old = Fernet.generate_key()
    with database.connect("vaultdb_migrator") as connection, connection.cursor() as cursor:
        connection.execute("TRUNCATE customer")
        cursor.executemany(
            "INSERT INTO customer (email, ssn) VALUES (%s, %s)",
            [(f"c{n}", Fernet(old).encrypt(b"999-%d" % n).decode()) for n in range(20)],
        )
    (folder / "old.key").write_bytes(old + b"\n")
    source = ("--from", "fernet", "--key-file", "old.key")
    for each in (
        ("migrate", "init", "migrations", "--model", "step2:Base"),
        ("migrate", "up"),
        ("keys", "create"),
        ("migrate", "new", "expand"),
        ("migrate", "up"),
    ):
        command(*each, step=2)

    done = json.loads(
        command("adopt", "backfill", "customer", "ssn", *source, "--yes", "--json", step=2)
    )
    compared = json.loads(command("adopt", "verify", "customer", "ssn", *source, "--json", step=2))
    plain = command("adopt", "verify", "customer", "ssn", step=2, fails=1)
    command("adopt", "check", "customer", "ssn", "--apply", step=2)
    emptied = command(
        *("adopt", "null", "customer", "ssn", *source, "--drop-trigger", "--yes"), step=2
    )

    assert (done["changed"], done["quarantined"]) == (20, [])
    assert (compared["compared"], compared["different"]) == (20, 0)
    assert "the ciphertext is of another value" in plain
    assert "gAAAA" not in plain
    assert "emptied 20 rows, 0 left" in emptied
