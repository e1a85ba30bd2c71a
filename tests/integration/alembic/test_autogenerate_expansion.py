"""A plaintext column becomes encrypted: a second column first, the plaintext dropped last."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import JSON, Column, MetaData, Numeric, Text

from tests.integration.alembic.autogenerate_models import clinic
from tests.integration.alembic.autogenerate_project import Project
from tests.integration.alembic.test_autogenerate_changes import begin, body, there_and_back
from vaultdb import Encrypted, Equality

ENVELOPE = "'\\xf6'::bytea || decode(repeat('00', 80), 'hex')"
OTHER = "'\\xf6'::bytea || decode(repeat('11', 80), 'hex')"
COVER = "ALTER TABLE patient ADD CONSTRAINT done CHECK (city IS NULL OR city_encrypted IS NOT NULL)"


@pytest.fixture
def project(tmp_path, database) -> Project:
    return Project(tmp_path / "migrations", database)


def plain() -> MetaData:
    return clinic(Column("city", Text, index=True))


def both(**options) -> MetaData:
    """The second column under a name of its own: what a program can run with."""
    encrypted = Encrypted(str, index=Equality(), logical_name="patient.city")
    return clinic(Column("city", Text, index=True), Column("city_encrypted", encrypted, **options))


def only_second(**options) -> MetaData:
    encrypted = Encrypted(str, index=Equality(), logical_name="patient.city")
    return clinic(Column("city_encrypted", encrypted, **options))


def in_place(**options) -> MetaData:
    return clinic(Column("city", Encrypted(str), **options))


def test_a_second_column_is_added_with_its_index_grants_and_trigger(project):
    begin(project, plain())
    upgrade = body(there_and_back(project, plain(), both()))
    assert (
        "op.expand_encrypted_column('patient', 'city', vaultdb.orm.Envelope(),"
        " companion='city_encrypted_index')" in upgrade
    )
    assert "op.create_blind_index('patient', 'city_encrypted')" in upgrade
    assert "op.grant(['SELECT', 'UPDATE'], 'patient', 'vaultdb_rotator'" in upgrade
    assert "alter_column" not in upgrade


def test_a_column_that_is_encrypted_under_its_name_gets_a_second_column_too(project):
    begin(project, plain())
    upgrade = body(there_and_back(project, plain(), in_place()))
    assert "op.expand_encrypted_column('patient', 'city', vaultdb.orm.Envelope())" in upgrade
    assert "columns=['city_encrypted'])" in upgrade  # the rotator may not see the plaintext
    assert "alter_column" not in upgrade
    assert "drop_index" not in upgrade  # old releases still search by it


def test_who_writes_plaintext_only_empties_the_ciphertext(project):
    begin(project, plain())
    project.generate(both())
    project.upgrade(both())
    with project.database.connect() as admin, project.database.connect("vaultdb_app") as app:
        row = f"INSERT INTO patient (tenant_id, city, city_encrypted, city_encrypted_index) VALUES ('t', 'Ulm', {ENVELOPE}, '1')"
        app.execute(row)
        select = "SELECT city, city_encrypted IS NULL, city_encrypted_index IS NULL FROM patient"

        app.execute("UPDATE patient SET name = 'x'")
        assert admin.execute(select).fetchone() == ("Ulm", False, False)
        app.execute(f"UPDATE patient SET city = 'Bonn', city_encrypted = {OTHER}")
        assert admin.execute(select).fetchone() == ("Bonn", False, False)
        app.execute("UPDATE patient SET city = 'Köln'")
        assert admin.execute(select).fetchone() == ("Köln", True, True)
        app.execute(f"UPDATE patient SET city_encrypted = {ENVELOPE}, city_encrypted_index = '2'")
        assert admin.execute(select).fetchone() == ("Köln", False, False)


def test_plaintext_that_has_no_equality_or_a_lax_one_is_compared_as_text(project):
    begin(project, clinic(Column("city", JSON), Column("size", Numeric)))
    after = clinic(
        Column("city", JSON),
        Column("city_encrypted", Encrypted(dict)),
        Column("size", Numeric),
        Column("size_encrypted", Encrypted(str)),
    )
    project.generate(after)
    project.upgrade(after)
    with project.database.connect("vaultdb_app") as app:
        app.execute(
            "INSERT INTO patient (tenant_id, city, city_encrypted, size, size_encrypted)"
            f" VALUES ('t', '{{}}', {ENVELOPE}, 1.0, {ENVELOPE})"
        )
        kept = "SELECT city_encrypted IS NOT NULL, size_encrypted IS NOT NULL FROM patient"
        app.execute("UPDATE patient SET city = '{}', size = 1.0")
        assert app.execute(kept).fetchone() == (True, True)
        app.execute("""UPDATE patient SET city = '{"a": 1}', size = 1.00""")
        assert app.execute(kept).fetchone() == (False, False)


# SQLAlchemy 2.1 reads a check that is NOT VALID with an argument that it then warns about.
@pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options'")
def test_the_plaintext_is_dropped_only_once_a_validated_check_covers_it(project):
    begin(project, plain())
    project.generate(both(), "expand")
    project.upgrade(both())
    expanded = project.state()
    after = only_second(nullable=False)
    forgotten = body(project.generate(after, "forget"))  # by the models, not by the database
    assert "op.revoke(['SELECT'], 'patient', 'vaultdb_ro', columns=['city'])" in forgotten
    assert "drop" not in forgotten
    project.upgrade(after)
    assert project.differences(after) == []
    with project.database.connect("vaultdb_migrator") as migrator:
        migrator.execute(f"{COVER} NOT VALID")
        assert project.differences(after) == []
        migrator.execute("ALTER TABLE patient VALIDATE CONSTRAINT done")
    source = project.generate(after, "contract")
    assert "op.drop_invalidation_trigger('patient', 'city', 'city_encrypted'" in source
    project.upgrade(after)
    assert project.differences(after) == []
    with project.database.connect() as admin:
        columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'patient'::regclass AND attname LIKE 'city%'"
        assert {name for (name,) in admin.execute(columns)} == {
            "city_encrypted",
            "city_encrypted_index",
        }
    project.downgrade(both(), "-2")
    assert project.state() == expanded


def test_the_second_column_takes_the_first_ones_name_if_the_models_say_so(project):
    begin(project, plain())
    project.generate(in_place(), "expand")
    project.upgrade(in_place())
    with project.database.connect("vaultdb_migrator") as migrator:
        migrator.execute(COVER)
    source = body(project.generate(in_place(nullable=False), "contract"))
    assert source.index("drop_invalidation_trigger") < source.index(
        "op.drop_column('patient', 'city')"
    )
    assert "op.alter_column('patient', 'city_encrypted', new_column_name='city')" in source
    project.upgrade(in_place(nullable=False))
    assert project.differences(in_place(nullable=False)) == []


def test_postgresql_itself_keeps_the_plaintext_while_the_trigger_is_there(project):
    begin(project, plain())
    project.generate(both(), "expand")
    project.upgrade(both())
    with (
        project.database.connect("vaultdb_migrator") as migrator,
        pytest.raises(psycopg.errors.DependentObjectsStillExist),
    ):
        migrator.execute("ALTER TABLE patient DROP COLUMN city")


REPLACING = {
    "info": lambda: Column("secret_city", Encrypted(str), info={"vaultdb.replaces": "city"}),
    "adopts": lambda: Column("secret_city", Encrypted(str, adopts="city")),
    "allow": lambda: Column("secret_city", Encrypted(str, adopts="city", plaintext="allow")),
}


@pytest.mark.parametrize("declared", REPLACING)
def test_another_name_is_paired_by_what_the_column_says_it_replaces(project, declared):
    begin(project, plain())
    secret = REPLACING[declared]()
    after = clinic(Column("city", Text, index=True), secret)
    upgrade = body(there_and_back(project, plain(), after))
    assert "encrypted_column='secret_city'" in upgrade
