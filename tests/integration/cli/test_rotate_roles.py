"""``vaultdb rotate --dek`` on a real Vault, where each role has a login of its own."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vaultdb
from tests.fixtures.postgres import Database
from tests.integration.cli.conftest import Run
from vaultdb import Equality, access, encrypted
from vaultdb.db.role_names import RoleNames
from vaultdb.engine.keyring import keyring_for
from vaultdb.roles.statements import statements
from vaultdb.roles.wanted import wanted_facts
from vaultdb.settings import Settings


class Base(DeclarativeBase):
    metadata = MetaData()


class Visit(Base):
    """Each patient has a data key under the tenant's own KEK."""

    __tablename__ = "visit"
    id: Mapped[int] = mapped_column(primary_key=True)
    patient: Mapped[int]
    note: Mapped[str] = encrypted(str, keyset="patients", subject="patient", index=Equality())


access(Visit)


@pytest.fixture
def tenant(
    run: Run, settings_file: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A tenant with six rows of two patients."""
    with settings_file.open("a") as file:
        file.write(
            '[keysets.patients]\nkek = "tenant"\n[keyring]\nsoft_ttl = 0.1\nhard_ttl = 0.2\n'
        )
    monkeypatch.setenv("VAULTDB_MODELS", f"{__name__}:Base")
    name = f"acme-{secrets.token_hex(4)}"
    database.create_all(Base.metadata)
    grant(database)
    scope = ("--keyset", "patients", "--tenant", name)
    assert run("keys", "create", *scope).code == 0
    assert run("keys", "create", *scope, "--subject", "1", "--subject", "2").code == 0
    settings = Settings.load(file=settings_file, keyring={"soft_ttl": 300, "hard_ttl": 900})
    with keyring_for(settings)() as keyring:
        engine = vaultdb.create_engine(settings=settings, keyring=keyring)
        with vaultdb.acting_as("nurse", tenant=name), Session(engine) as session:
            session.add_all([Visit(patient=n % 2 + 1, note=f"note {n}") for n in range(6)])
            session.commit()
        engine.dispose()
    return name


def grant(database: Database) -> None:
    """Grant what the model declares, as `vaultdb roles apply` would."""
    with database.connect() as connection:
        for statement in statements(wanted_facts(Base.metadata, RoleNames()), ()):
            connection.execute(statement.encode())


def forget(settings_file: Path, role: str) -> None:
    """Make the file that of a machine without a role's login."""
    text = settings_file.read_text()
    settings_file.write_text(re.sub(rf"\[role\.{role}\.[a-z]+\]\n(?:[^\[].*\n)*", "", text))


def counted(run: Run) -> dict[tuple[str, int], int]:
    """Return the rows under each version, by column."""
    ran = run("keys", "usage", "--json")
    assert ran.code == 0, ran.err
    return {
        (column["column"], key["version"]): sum(
            each["rows"] for each in column["keys"] if each["version"] == key["version"]
        )
        for column in ran.json
        for key in column["keys"]
    }


def test_every_role_does_its_part_under_the_kek_of_a_tenant(run: Run, tenant: str) -> None:
    ran = run("rotate", "--dek", "--tenant", tenant, "--yes")
    assert ran.code == 0, ran.err + ran.out
    assert "left" not in ran.out
    assert counted(run) == {("note", 2): 6, ("note_index", 2): 6}


def test_new_keys_are_left_to_the_machine_that_has_the_officer(
    run: Run, tenant: str, settings_file: Path
) -> None:
    whole = settings_file.read_text()
    forget(settings_file, "officer")
    assert "not here: officer, who makes data keys" in run("rotate", "--dek", "--plan").out
    ran = run("rotate", "--dek", "--yes", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["rows"]["made"] == []
    scope = f"vaultdb keys create --keyset patients --tenant {tenant}"
    commands = [line.partition(": ")[2] for line in ran.json["left"]]
    assert sorted(commands) == [
        f"{scope} --purpose data --new-version",
        f"{scope} --purpose index --new-version",
        f"{scope} --subject 1 --new-version",
        f"{scope} --subject 2 --new-version",
    ]
    settings_file.write_text(whole)
    for command in commands:
        assert run(*command.split()[1:]).code == 0
    forget(settings_file, "officer")
    ran = run("rotate", "--dek", "--yes")
    assert ran.code == 0, ran.err + ran.out
    assert counted(run) == {("note", 2): 6, ("note_index", 2): 6}


def test_an_index_key_beside_another_is_searched_for_before_it_is_written_with(
    run: Run, tenant: str
) -> None:
    made = run("keys", "create", "--keyset", "patients", "--tenant", tenant, "--new-version")
    assert "it is incoming, and searched for only" in made.out
    keys = run("keys", "list", "--json").json
    states = {(key["purpose"], key["version"]): key["state"] for key in keys if not key["subject"]}
    assert states["index", 2] == "incoming"
    assert (states["index", 1], states["data", 2]) == ("active", "active")
