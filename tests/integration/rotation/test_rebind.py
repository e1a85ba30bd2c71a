"""``vaultdb rebind``: an integer key becomes a UUID, a tenant changes its name and its realm."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vaultdb
from tests.fixtures.postgres import Database, Postgres
from tests.integration.rotation.conftest import Clinic, Run, disposing, write_local_settings
from tests.integration.rotation.models import Patient
from vaultdb import Equality, encrypted
from vaultdb.engine.keyring import keyring_for
from vaultdb.jobs.rotation.rebinding import RebindSpec
from vaultdb.settings import Settings


def person_by_number() -> type:
    """The model before the switch: the new key is a column like any other."""

    class Base(DeclarativeBase):
        metadata = MetaData()

    class Person(Base):
        __tablename__ = "Odd Person"
        id: Mapped[int] = mapped_column(primary_key=True)
        uid: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4)
        name: Mapped[str] = encrypted(str)
        email: Mapped[str | None] = encrypted(str, index=Equality(), nullable=True)

    return Person


def person_by_uuid() -> type:
    """The model after the switch."""

    class Base(DeclarativeBase):
        metadata = MetaData()

    class Person(Base):
        __tablename__ = "Odd Person"
        uid: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
        name: Mapped[str] = encrypted(str)
        email: Mapped[str | None] = encrypted(str, index=Equality(), nullable=True)

    return Person


BETAS = """
    SELECT p.id FROM patient AS p
    JOIN vaultdb.data_key AS k ON k.key_id = substr(p.name::bytea, 3, 16)
    WHERE k.tenant = 'beta' ORDER BY p.id
"""
SWITCH = """
    DROP TRIGGER outdated ON "Odd Person";
    ALTER TABLE "Odd Person" DROP CONSTRAINT "Odd Person_pkey", ADD PRIMARY KEY (uid);
    ALTER TABLE "Odd Person" DROP COLUMN name, DROP COLUMN email, DROP COLUMN id;
    ALTER TABLE "Odd Person" RENAME COLUMN name_2 TO name;
    ALTER TABLE "Odd Person" RENAME COLUMN email_2 TO email
"""
INVALIDATE = """
    CREATE FUNCTION outdated() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN NEW.name_2 := NULL; RETURN NEW; END';
    CREATE TRIGGER outdated BEFORE UPDATE OF name ON "Odd Person" FOR EACH ROW
    WHEN (NEW.name IS DISTINCT FROM OLD.name) EXECUTE FUNCTION outdated()
"""


def test_integer_keys_become_uuids_while_the_application_writes(
    run: Run, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = person_by_number(), person_by_uuid()
    module = ModuleType("persons_of_a_test")
    module.Base = before  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "persons_of_a_test", module)
    clinic.database.create_all(before.metadata)
    clinic.query(
        'ALTER TABLE "Odd Person" ADD name_2 vaultdb.envelope, ADD email_2 vaultdb.envelope'
    )
    clinic.query(INVALIDATE)
    clinic.query('GRANT SELECT, UPDATE ON "Odd Person" TO vaultdb_rotator')
    with clinic.session("acme") as session:
        people = [
            before(id=n, name=f"n{n}", email=f"{n}@x" if n > 1 else None) for n in range(1, 6)
        ]
        session.add_all(people)
        session.commit()
    rebind = (
        "rebind",
        "Odd Person",
        "--key",
        "uid",
        "--into",
        "_2",
        "-m",
        "persons_of_a_test:Base",
    )
    assert run(*rebind, "--plan").out == "Odd Person: 5 rows to move\n"
    ran = run(*rebind, "--yes")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "moved 5 rows"), ran.err
    with clinic.session("acme") as session:
        session.get_one(before, 3).name = "changed"
        session.commit()
    assert run(*rebind, "--yes", "--json").json["changed"] == 1
    clinic.query(SWITCH)
    with clinic.session("acme") as session:
        rows = session.scalars(select(after)).all()
        assert sorted(row.name for row in rows) == ["changed", "n1", "n2", "n4", "n5"]
        assert session.scalars(select(after).where(after.email == "4@x")).one().name == "n4"


def test_a_tenant_becomes_another_with_its_blind_index(run: Run, clinic: Clinic) -> None:
    assert run("keys", "create", "--tenant", "omega").code == 0
    rebind = ("rebind", "patient", "--tenant", "beta", "--to-tenant", "omega", "--yes")
    assert run(*rebind).out.splitlines()[-1] == "moved 3 rows"
    assert run(*rebind).out.splitlines()[0] == "patient: 0 rows to move"
    with clinic.session("omega") as session:
        found = session.scalars(select(Patient).where(Patient.email == "beta2@example.org")).one()
        assert found.name == "beta 2"


def test_a_tenant_moves_to_the_database_of_another_realm(
    run: Run, clinic: Clinic, postgres: Postgres, tmp_path: Path
) -> None:
    other = postgres.create_database()
    try:
        move(run, clinic, other, tmp_path)
    finally:
        postgres.drop_database(other.name)


def move(run: Run, clinic: Clinic, other: Database, tmp_path: Path) -> None:
    realm = uuid.uuid4()
    from tests.integration.rotation.conftest import apply_access
    from tests.integration.rotation.models import Base

    other.create_all(Base.metadata)
    with other.connect() as connection:
        apply_access(connection)
        connection.execute("UPDATE vaultdb.realm SET realm = %s", [realm])
        rows = clinic.query("SELECT id, name, email, email_index FROM patient")
        insert = "INSERT INTO patient (id, name, email, email_index) VALUES (%s, %s, %s, %s)"
        connection.cursor().executemany(insert, rows)
    (tmp_path / "new").mkdir()
    path = tmp_path / "new" / "vaultdb.toml"
    moved = Database(other.postgres, other.name, realm)
    write_local_settings(path, moved, models="tests.integration.rotation.models:Base")
    path.write_text(path.read_text() + as_profile(clinic.settings_file.read_text()))
    config = ("--config", str(path))
    for tenant in ("acme", "beta"):
        assert run(*config, "keys", "create", "--tenant", tenant).code == 0
    ran = run(*config, "rebind", "patient", "--from-profile", "old", "--yes")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "moved 10 rows"), ran.err
    settings = Settings.load(file=path)
    with (
        keyring_for(settings)() as keyring,
        disposing(vaultdb.create_engine(settings=settings, keyring=keyring)) as engine,
        vaultdb.acting_as("nurse", tenant="acme"),
        Session(engine) as session,
    ):
        found = session.scalars(select(Patient).where(Patient.email == "acme5@example.org")).one()
        assert found.name == "acme 5"


def as_profile(settings: str) -> str:
    """Return settings as those of the profile `old`."""
    lines = settings.splitlines()
    top = [line for line in lines if line.startswith("realm = ")]
    tables = lines[next(n for n, line in enumerate(lines) if line.startswith("[")) :]
    nested = [
        line.replace("[", "[profile.old.", 1) if line.startswith("[") else line for line in tables
    ]
    return "\n".join(["", "[profile.old]", *top, *nested, ""])


def test_what_does_not_go_together_is_refused(run: Run, clinic: Clinic) -> None:
    assert run("rebind", "patient").failed_with("say what changes: --key for another primary key")
    assert run("rebind", "patient", "--key", "id").failed_with("--key needs --into")
    ran = run("rebind", "patient", "--to-tenant", "x")
    assert ran.failed_with("--to-tenant needs --tenant")


def test_a_job_that_moves_values_to_somebody_else_is_not_joined(run: Run, clinic: Clinic) -> None:
    for tenant in ("omega", "thief"):
        assert run("keys", "create", "--tenant", tenant).code == 0
    forged = RebindSpec("patient", tenant="acme", to_tenant="thief")
    clinic.query(
        "WITH forged AS (INSERT INTO vaultdb.job (kind, target, spec)"
        " VALUES ('rebind', 'patient', %s::jsonb) RETURNING id)"
        " INSERT INTO vaultdb.job_chunk (job, number) SELECT id, 0 FROM forged",
        json.dumps(forged.as_json()),
    )
    ran = run("rebind", "patient", "--tenant", "beta", "--to-tenant", "omega", "--yes")
    assert ran.failed_with("moves values of patient in another way")
    assert rows_of(clinic, "thief") == rows_of(clinic, "omega") == 0


def rows_of(clinic: Clinic, tenant: str) -> int:
    ((count,),) = clinic.query(
        "SELECT count(*) FROM patient AS p JOIN vaultdb.data_key AS k"
        " ON k.key_id = substr(p.name::bytea, 3, 16) WHERE k.tenant = %s",
        tenant,
    )
    return int(count)


def test_a_column_that_holds_other_values_is_not_written(run: Run, clinic: Clinic) -> None:
    clinic.query("UPDATE patient SET email_index = NULL")
    ran = run("rebind", "patient", "--key", "id", "--into", "_index", "--yes")
    assert ran.failed_with("has a column email_index with values of its own")


def test_a_value_of_another_row_is_left_alone(run: Run, clinic: Clinic) -> None:
    assert run("keys", "create", "--tenant", "omega").code == 0
    ids = [row[0] for row in clinic.query(BETAS)]
    swap = "UPDATE patient AS p SET name = o.name FROM patient AS o WHERE p.id = %s AND o.id = %s"
    clinic.query(swap, *ids[:2])
    ran = run("rebind", "patient", "--tenant", "beta", "--to-tenant", "omega", "--yes")
    assert ran.code != 0
    assert rows_of(clinic, "beta") == 1
    assert clinic.query("SELECT row_key, column_name, reason FROM vaultdb.job_quarantine") == [
        ([str(ids[0])], "name", "bad tag")
    ]


def test_a_row_that_a_unique_index_refuses_does_not_stop_the_others(
    run: Run, clinic: Clinic
) -> None:
    assert run("keys", "create", "--tenant", "omega").code == 0
    ids = [row[0] for row in clinic.query(BETAS)]
    clinic.query(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF NEW.id::text = '{ids[1]}' THEN RAISE unique_violation; END IF; RETURN NEW; END $$;"
        f" CREATE TRIGGER refuse BEFORE UPDATE ON patient FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    ran = run("rebind", "patient", "--tenant", "beta", "--to-tenant", "omega", "--yes")
    assert "moved 2 rows" in ran.out, ran.err
    assert (rows_of(clinic, "beta"), rows_of(clinic, "omega")) == (1, 2)
