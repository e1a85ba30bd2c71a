"""Each change of a model: generate, upgrade, nothing left to do, downgrade, all as before."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import Column, Date, Index, Integer, MetaData, Table, Text

from tests.integration.alembic.autogenerate_models import clinic
from tests.integration.alembic.autogenerate_project import Project
from vaultdb import Encrypted, Equality
from vaultdb.errors import SchemaError
from vaultdb.roles.access import access
from vaultdb.roles.grant import Grant


@pytest.fixture
def project(tmp_path, database) -> Project:
    return Project(tmp_path / "migrations", database)


def body(source: str) -> str:
    """The upgrade's operations, in one line each."""
    inner = source.partition("def upgrade()")[2].partition("def downgrade()")[0]
    return re.sub(r"\n\s*(?!\s*op\.|#)", " ", inner)


def begin(project: Project, metadata: MetaData) -> None:
    project.generate(metadata, "begin")
    project.upgrade(metadata)


def there_and_back(project: Project, before: MetaData, after: MetaData) -> str:
    """Run the whole circle, and end with the upgrade's opposite."""
    first = project.state()
    source = project.generate(after)
    project.upgrade(after)
    assert project.differences(after) == []
    assert project.state() != first
    project.downgrade(before)
    assert project.state() == first
    return source


def test_a_new_table_comes_with_types_access_policies_and_blind_index(tmp_path, any_database):
    project = Project(tmp_path / "migrations", any_database)
    empty = MetaData()
    source = there_and_back(project, empty, clinic(tenant="tenant_id"))
    assert "import vaultdb.orm\n" in source
    assert "import vaultdb.alembic.operations" in source
    upgrade = body(source)
    assert "vaultdb.orm.Envelope()" in upgrade
    assert "vaultdb.orm.IndexValue()" in upgrade
    assert (
        "op.create_index(op.f('ix_patient_ssn_index'), 'patient', ['ssn_index'], unique=True)"
        in upgrade
    )
    assert "op.grant(['SELECT', 'INSERT', 'UPDATE', 'DELETE'], 'patient', 'vaultdb_rw')" in upgrade
    assert (
        "op.grant(['SELECT'], 'patient', 'vaultdb_ro', columns=['id', 'name', 'tenant_id'])"
        in upgrade
    )
    assert "op.grant(['USAGE'], 'patient_id_seq', 'vaultdb_rw', kind='sequence')" in upgrade
    assert "op.enable_rls('patient')" in upgrade
    assert upgrade.count("op.create_policy(") == 4
    assert upgrade.index("op.enable_rls") < upgrade.index("op.grant")


def test_names_that_need_quoting_survive_the_circle(project):
    with project.database.connect() as admin:
        admin.execute('CREATE SCHEMA "Odd App" AUTHORIZATION vaultdb_owner')
        admin.execute('CREATE ROLE "Odd ""%s:x"" Role %" NOLOGIN')
    after = clinic(
        Column("select", Encrypted(str, index=Equality())),
        table='Odd "%s" :Table',
        schema="Odd App",
        tenant="tenant_id",
        others={'Odd "%s:x" Role %': Grant(select=["id", "select"])},
    )
    try:
        source = there_and_back(project, MetaData(), after)
        assert "columns=['id', 'select'], schema='Odd App'" in source
    finally:
        with project.database.connect() as admin:
            admin.execute('DROP OWNED BY "Odd ""%s:x"" Role %"')
            admin.execute('DROP ROLE "Odd ""%s:x"" Role %"')


def test_an_encrypted_column_is_added_with_its_grants(project):
    before, after = clinic(), clinic(Column("born", Encrypted(str, index=Equality())))
    begin(project, before)
    upgrade = body(there_and_back(project, before, after))
    assert (
        "op.add_encrypted_column('patient', sa.Column('born', vaultdb.orm.Envelope(), nullable=True))"
        in upgrade
    )
    assert "op.create_blind_index('patient', 'born')" in upgrade
    assert (
        "op.grant(['SELECT', 'UPDATE'], 'patient', 'vaultdb_rotator', columns=['born', 'born_index'])"
        in upgrade
    )


def test_a_plain_column_is_added_for_readers_of_single_columns_too(project):
    before, after = clinic(), clinic(Column("city", Text))
    begin(project, before)
    upgrade = body(there_and_back(project, before, after))
    assert "op.grant(['SELECT'], 'patient', 'vaultdb_ro', columns=['city'])" in upgrade


def test_access_is_changed(project):
    before = clinic()
    after = clinic(rw="select insert", ro=["id"], rotator=False)
    begin(project, before)
    upgrade = body(there_and_back(project, before, after))
    assert "op.revoke(['UPDATE', 'DELETE'], 'patient', 'vaultdb_rw')" in upgrade
    assert (
        "op.revoke(['SELECT'], 'patient', 'vaultdb_ro', columns=['name', 'tenant_id'])" in upgrade
    )
    assert "op.create_table" not in upgrade


def test_a_table_privilege_becomes_one_of_columns_and_back(project):
    before = clinic(without=("ssn", "note"))  # nothing is encrypted: ro has the table
    after = clinic(without=("ssn", "note"), ro=["id", "name"])
    begin(project, before)
    upgrade = body(there_and_back(project, before, after))
    revoke = upgrade.index("op.revoke(['SELECT'], 'patient', 'vaultdb_ro')")
    grant = upgrade.index("op.grant(['SELECT'], 'patient', 'vaultdb_ro', columns=['id', 'name'])")
    assert revoke < grant


def test_row_level_security_is_added(project):
    before, after = clinic(), clinic(tenant="tenant_id")
    begin(project, before)
    upgrade = body(there_and_back(project, before, after))
    assert "op.enable_rls('patient')" in upgrade
    assert "( SELECT NULLIF(current_setting(" in upgrade  # once per statement, not per row


def test_a_policy_with_another_text_is_replaced(project):
    before = clinic(tenant="tenant_id")
    after = clinic(tenant="tenant_id", principal="name")
    begin(project, before)
    upgrade = body(there_and_back(project, before, after))
    assert upgrade.count("op.drop_policy") == upgrade.count("op.create_policy") == 2


def test_policies_of_the_users_own_are_left_alone(project):
    before, after = clinic(own_policies=True), clinic(Column("city", Text), own_policies=True)
    begin(project, before)
    with project.database.connect() as admin:
        admin.execute("ALTER TABLE patient ENABLE ROW LEVEL SECURITY")
        admin.execute("CREATE POLICY mine ON patient USING (name = current_user)")
    assert project.differences(before) == []
    assert "policy" not in body(there_and_back(project, before, after))


def test_row_security_that_is_not_forced_is_forced(project):
    metadata = clinic(tenant="tenant_id")
    begin(project, metadata)
    with project.database.connect() as admin:
        admin.execute("ALTER TABLE patient NO FORCE ROW LEVEL SECURITY")
    assert "op.force_rls('patient')" in body(there_and_back(project, metadata, metadata))


def test_a_grant_that_nobody_declared_is_taken_away(project):
    metadata = clinic()
    begin(project, metadata)
    with project.database.connect() as admin:
        admin.execute("GRANT SELECT ON patient TO PUBLIC")
    upgrade = body(there_and_back(project, metadata, metadata))
    assert "op.revoke(['SELECT'], 'patient', 'PUBLIC')" in upgrade


def test_a_blind_index_is_added(project):
    before = clinic()
    after = clinic(Column("note", Encrypted(str, index=Equality())))
    begin(project, before)
    with project.database.connect() as admin:
        admin.execute(
            "INSERT INTO patient (tenant_id, note) VALUES ('t', '\\xf6' || decode(repeat('00', 80), 'hex'))"
        )
    upgrade = body(there_and_back(project, before, after))
    assert "op.create_blind_index('patient', 'note')" in upgrade
    assert "op.add_column" not in upgrade
    assert "op.create_index" not in upgrade


def test_a_blind_index_is_removed(project):
    before, after = clinic(), clinic(Column("ssn", Encrypted(str)))
    begin(project, before)
    upgrade = body(there_and_back(project, before, after))
    assert "op.drop_blind_index('patient', 'ssn', unique=True)" in upgrade
    assert "op.drop_column" not in upgrade


def test_an_encrypted_column_is_dropped_with_its_index_and_comes_back_as_it_was(project):
    before, after = clinic(), clinic(without=("ssn",))
    begin(project, before)
    source = there_and_back(project, before, after)
    assert "op.drop_blind_index('patient', 'ssn', unique=True)" in body(source)
    assert "op.drop_column('patient', 'ssn')" in body(source)
    assert "op.add_encrypted_column(" in source.partition("def downgrade()")[2]


def test_a_dropped_table_comes_back_with_its_access(project):
    before = clinic(tenant="tenant_id")
    begin(project, before)
    source = there_and_back(project, before, MetaData())
    assert "op.create_policy" in source.partition("def downgrade()")[2]


def test_tables_in_another_schema_are_compared(project):
    with project.database.connect() as admin:
        admin.execute("CREATE SCHEMA app AUTHORIZATION vaultdb_owner")
        admin.execute("CREATE TABLE public.someone_elses (id int)")
    before = clinic(schema="app", tenant="tenant_id")
    begin(project, before)
    after = clinic(Column("born", Encrypted(str)), schema="app", tenant="tenant_id")
    upgrade = body(there_and_back(project, before, after))
    assert "schema='app'" in upgrade


def test_a_column_that_is_decrypted_is_refused(project):
    before, after = clinic(), clinic(Column("note", Text))
    begin(project, before)
    with pytest.raises(
        SchemaError, match=r"patient.note is encrypted in the database.*declare a plain"
    ):
        project.generate(after)


def test_an_undeclared_table_gets_no_grants(project):
    metadata = clinic(declare=False)
    other = Table("other", metadata, Column("id", Integer, primary_key=True), Column("day", Date))
    Index("ix_day", other.c.day)
    access(other)
    upgrade = body(there_and_back(project, MetaData(), metadata))
    assert "'other', 'vaultdb_rw'" in upgrade
    assert "'patient', 'vaultdb_rw'" not in upgrade


def indexed(**index: object) -> MetaData:
    metadata = MetaData()
    kind = Encrypted(str, index=Equality(unique=True, **index))
    declared = Table(
        "person",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("ssn", kind, nullable=False),
    )
    access(declared)
    return metadata


def test_an_index_is_rekeyed_by_two_revisions(project):
    before, both = indexed(), indexed(rekey_into="ssn_index_2")
    begin(project, before)
    upgrade = body(there_and_back(project, before, both))
    assert "op.create_blind_index('person', 'ssn', companion='ssn_index_2'" in upgrade
    assert "op.alter_column('person', 'ssn_index'" in upgrade
    assert "nullable=True" in upgrade
    project.upgrade(both)
    assert project.differences(indexed(name="ssn_index_2", rekey_into="ssn_index")) == []
    after = indexed(name="ssn_index_2")
    source = project.generate(after, "switch")
    project.upgrade(after)
    assert project.differences(after) == []
    assert "op.drop_column('person', 'ssn_index')" in body(source) or (
        "op.drop_blind_index('person', 'ssn'" in body(source)
    )
