"""What the catalogues of a migrated database show is found as well."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData, create_engine

from tests.unit.alembic_ops.revisions import PATIENT, write
from vaultdb.alembic.lints import check

EXPAND = 'op.expand_encrypted_column("patient", "city", vaultdb.orm.Envelope())'
DROP = 'op.drop_column("patient", "city")'
SETUP = """
CREATE TABLE person (id int PRIMARY KEY);
CREATE TABLE patient (id int PRIMARY KEY, city text, ssn vaultdb.envelope, ssn_index bytea);
ALTER TABLE patient ALTER ssn SET STORAGE EXTERNAL;
CREATE INDEX ON patient (ssn_index) INCLUDE (ssn);
CREATE VIEW good WITH (security_invoker) AS SELECT * FROM patient;
CREATE PUBLICATION good FOR TABLE patient (id, city);
"""


@pytest.fixture
def look(any_database, tmp_path):
    """Run some SQL as the superuser, then the check; give what it found in the database."""
    folder = write(tmp_path / "m", "pass")

    def found(sql: str) -> list[str]:
        with any_database.connect() as admin:
            admin.execute(sql)
        return [str(finding) for finding in checked(any_database, folder)]

    return found


def checked(database, folder):
    engine = create_engine(database.migrate_url.replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.connect() as connection:
        findings = check(folder, MetaData(), connection)
    engine.dispose()
    return findings


def test_problems_of_encrypted_columns_are_found(look):
    assert look(SETUP) == []
    found = look(
        """
        CREATE UNIQUE INDEX "Odd ix" ON patient (id, ssn);
        ALTER TABLE patient ALTER ssn SET STORAGE MAIN;
        CREATE VIEW "Bad view" AS SELECT count(*) FROM patient;
        CREATE MATERIALIZED VIEW copy AS SELECT * FROM patient;
        CREATE PUBLICATION bad FOR TABLE patient;
        ALTER TABLE patient ADD FOREIGN KEY (id) REFERENCES person ON UPDATE CASCADE;
        """
    )
    assert [line.rpartition("; ")[0] for line in found] == [
        (
            "bound-key-changed: foreign key patient_id_fkey of public.patient changes the key that"
            " values are bound to"
        ),
        "encrypted-table-published: public.patient is published with ciphertext by bad",
        'index-on-ciphertext: index "Odd ix" is over public.patient.ssn',
        "storage-not-external: public.patient.ssn is compressed, which ciphertext does not yield to",
        (
            'view-runs-as-owner: view "Bad view" reads public.patient as its owner, past policies and'
            " grants"
        ),
        "view-runs-as-owner: view copy reads public.patient as its owner, past policies and grants",
    ]


def test_a_database_without_vaultdb_has_no_problems(postgres, tmp_path):
    plain = postgres.create_database(template="template0")
    try:
        with plain.connect() as admin:
            admin.execute("CREATE TABLE t (id int)")
        assert checked(plain, write(tmp_path / "m", "pass")) == []
    finally:
        postgres.drop_database(plain.name)


def test_a_check_that_a_program_has_added_makes_the_drop_safe(database, tmp_path):
    folder = write(tmp_path / "m", PATIENT, EXPAND, DROP)
    with database.connect() as admin:
        admin.execute("CREATE TABLE patient (id int, city text, city_encrypted vaultdb.envelope)")
        admin.execute("ALTER TABLE patient ALTER city_encrypted SET STORAGE EXTERNAL")
        assert [finding.rule for finding in checked(database, folder)] == [
            "plaintext-dropped-early"
        ]
        covered = "CHECK (city IS NULL OR city_encrypted IS NOT NULL)"
        admin.execute(f"ALTER TABLE patient ADD CONSTRAINT full_now {covered} NOT VALID")
        assert [finding.rule for finding in checked(database, folder)] == [
            "plaintext-dropped-early"
        ]
        admin.execute("ALTER TABLE patient VALIDATE CONSTRAINT full_now")
        assert checked(database, folder) == []
        admin.execute("ALTER TABLE patient DROP COLUMN city")
        assert checked(database, folder) == []
