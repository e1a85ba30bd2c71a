"""A renamed column or table keeps its logical name, and with it its rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, create_engine, insert, select

import vaultdb
from tests.integration.alembic.autogenerate_models import clinic
from tests.integration.alembic.autogenerate_project import Project
from tests.integration.alembic.test_autogenerate_changes import begin, body
from vaultdb import Encrypted, Equality
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.vault.providers.memory import MemoryProvider


@pytest.fixture
def project(tmp_path, database) -> Project:
    return Project(tmp_path / "migrations", database)


@pytest.fixture
def engine(database, realm) -> Iterator[Engine]:
    keyring = Keyring(
        realm=realm, provider=MemoryProvider(), store=MemoryKeyStore(), create_keys=True
    )
    engine = create_engine(database.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    yield engine
    engine.dispose()
    keyring.close()


def store(engine: Engine, metadata: MetaData, **values: str) -> None:
    (table,) = metadata.tables.values()
    with vaultdb.acting_as("dr", tenant="t"), engine.begin() as connection:
        connection.execute(insert(table).values(tenant_id="t", **values))


def found_by(engine: Engine, metadata: MetaData, column: str, value: str) -> list[str]:
    (table,) = metadata.tables.values()
    with vaultdb.acting_as("dr", tenant="t"), engine.connect() as connection:
        query = select(table.c[column]).where(table.c[column] == value)
        return list(connection.scalars(query))


def circle(project: Project, engine: Engine, before: MetaData, after: MetaData, column: str) -> str:
    begin(project, before)
    store(engine, before, ssn="999-17-5017", note="allergic")
    first = project.state()
    source = project.generate(after)
    project.upgrade(after)
    assert project.differences(after) == []
    assert found_by(engine, after, column, "999-17-5017") == ["999-17-5017"]
    project.downgrade(before)
    assert project.state() == first
    assert found_by(engine, before, "ssn", "999-17-5017") == ["999-17-5017"]
    return body(source)


def test_a_renamed_column_keeps_its_rows_its_index_and_its_grants(project, engine):
    social = Encrypted(str, index=Equality(unique=True), logical_name="patient.ssn")
    after = clinic(Column("social_number", social), without=("ssn",), tenant="tenant_id")
    upgrade = circle(project, engine, clinic(tenant="tenant_id"), after, "social_number")
    assert "op.alter_column('patient', 'ssn', new_column_name='social_number')" in upgrade
    assert "new_column_name='social_number_index')" in upgrade
    assert "op.rename_index('ix_patient_ssn_index', 'ix_patient_social_number_index')" in upgrade
    assert not any(word in upgrade for word in ("drop", "add_", "grant", "revoke"))


def test_a_renamed_table_keeps_its_rows_its_sequence_and_its_access(project, engine):
    after = clinic(
        Column("ssn", Encrypted(str, index=Equality(unique=True), logical_name="patient.ssn")),
        Column("note", Encrypted(str, logical_name="patient.note")),
        table="person",
        tenant="tenant_id",
    )
    upgrade = circle(project, engine, clinic(tenant="tenant_id"), after, "ssn")
    assert "op.rename_table('patient', 'person')" in upgrade
    assert "op.rename_sequence('patient_id_seq', 'person_id_seq')" in upgrade
    assert "op.rename_index('ix_patient_ssn_index', 'ix_person_ssn_index')" in upgrade
    assert not any(word in upgrade for word in ("drop", "create", "grant", "revoke"))


def test_a_column_of_another_logical_name_is_no_rename(project):
    begin(project, clinic())
    after = clinic(Column("other", Encrypted(str)), without=("note",))
    upgrade = body(project.generate(after))
    assert "op.add_encrypted_column('patient', sa.Column('other'" in upgrade
    assert "op.drop_column('patient', 'note')" in upgrade


def test_the_catalogue_knows_a_name_that_was_renamed_before(project, engine):
    before = clinic(Column("city", Encrypted(str, logical_name="patient.town")))
    begin(project, before)
    after = clinic(Column("place", Encrypted(str, logical_name="patient.town")))
    upgrade = body(project.generate(after))
    assert "op.alter_column('patient', 'city', new_column_name='place')" in upgrade


def test_a_plain_table_is_not_taken_for_a_renamed_one(project):
    empty = clinic(Column("id", Integer, primary_key=True), without=("ssn", "note"))
    begin(project, empty)
    upgrade = body(project.generate(clinic(table="person", without=("ssn", "note"))))
    assert "op.drop_table('patient')" in upgrade
    assert "op.create_table('person'" in upgrade
