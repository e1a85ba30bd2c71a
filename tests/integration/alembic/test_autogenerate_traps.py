"""Traps that were fallen into: each was seen to fail before."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine

from tests.integration.alembic.autogenerate_models import clinic
from tests.integration.alembic.autogenerate_project import Project
from tests.integration.alembic.test_autogenerate_changes import begin, body
from vaultdb import Encrypted, Equality
from vaultdb.alembic.autogenerate import options
from vaultdb.orm import render_item
from vaultdb.roles.access import access


@pytest.fixture
def project(tmp_path, database) -> Project:
    return Project(tmp_path / "migrations", database)


def test_alembic_alone_does_not_import_vaultdb_and_vaultdb_may_come_first():
    assert not [each for each in entry_points(group="alembic.plugins") if "vaultdb" in each.value]
    alone = "import alembic, alembic.command, sys; print('vaultdb' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", alone], text=True).strip() == "False"
    # what a generated revision imports, when nothing else has been imported
    subprocess.run([sys.executable, "-c", "import vaultdb.alembic.operations"], check=True)


def test_who_does_not_ask_for_it_is_compared_as_before(database):
    assert vaultdb_comparators(database, {}) == []
    assert vaultdb_comparators(database, options(MetaData())) != []
    assert not comparators._registry  # the registry for everybody stays empty


def vaultdb_comparators(database, given) -> list[str]:
    engine = create_engine(database.migrate_url.replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=given)
        found = AutogenContext(context, MetaData()).comparators._registry
        names = [fn.__module__ for entries in found.values() for fn, _ in entries]
    engine.dispose()
    return [name for name in names if name.startswith("vaultdb")]


def test_a_table_that_is_not_declared_needs_no_vaultdb_when_its_revision_runs(project):
    metadata = MetaData()
    Table("plain", metadata, Column("id", Integer, primary_key=True))
    assert "vaultdb" not in project.generate(metadata)


def test_declarations_are_not_written_into_create_table(project):
    source = project.generate(clinic(tenant="tenant_id"))
    assert "info=" not in source
    assert "Access" not in source


def test_types_are_written_with_what_they_need_and_nothing_of_the_application(project):
    metadata = clinic(
        Column("born", Encrypted(dict, pad=None, keyset="other", validate=bool)),
        Column("ssn", Encrypted(str, index=Equality(unique=True, normalise="casefold"))),
    )
    source = project.generate(metadata)
    assert "Encrypted" not in source
    assert source.count("import vaultdb.orm\n") == 1
    assert_runs_alone(project)


def assert_runs_alone(project: Project) -> None:
    """The revision's file imports in a process that has imported nothing else."""
    (path,) = Path(project.folder, "versions").glob("*.py")
    run = f"import runpy; runpy.run_path({str(path)!r})['upgrade']"
    subprocess.run([sys.executable, "-c", run], check=True)


def test_imports_are_written_once_more_for_what_only_a_downgrade_needs(project):
    begin(project, clinic())
    source = project.generate(MetaData())
    assert "import vaultdb.orm" in source
    assert "vaultdb.orm.Envelope()" in source.partition("def downgrade()")[2]
    assert "DOMAIN" not in source


def test_tables_of_the_default_schema_are_found_when_it_is_not_public(project):
    with project.database.connect() as admin:
        admin.execute("CREATE SCHEMA app AUTHORIZATION vaultdb_owner")
        name = project.database.name
        admin.execute(
            f"ALTER ROLE vaultdb_migrator IN DATABASE {name} SET search_path = app, pg_temp"
        )
    metadata = clinic(tenant="tenant_id")
    begin(project, metadata)
    assert project.differences(metadata) == []
    with project.database.connect() as admin:
        assert admin.execute("SELECT to_regclass('app.patient')").fetchone() != (None,)


def test_default_privileges_are_taken_from_a_new_table_in_the_same_revision(project):
    with project.database.connect() as admin:
        on = "ALTER DEFAULT PRIVILEGES FOR ROLE vaultdb_owner"
        admin.execute(f"{on} GRANT SELECT ON TABLES TO vaultdb_ro")
        admin.execute(f"{on} IN SCHEMA public GRANT DELETE ON TABLES TO vaultdb_ro")
        admin.execute(f"{on} GRANT UPDATE ON SEQUENCES TO vaultdb_ro")
    metadata = clinic()
    source = body(project.generate(metadata))
    assert source.index("op.create_table") < source.index("op.revoke(['SELECT', 'DELETE']")
    assert "op.revoke(['UPDATE'], 'patient_id_seq', 'vaultdb_ro', kind='sequence')" in source
    project.upgrade(metadata)
    assert project.differences(metadata) == []
    with project.database.connect("vaultdb_app_read") as reader:
        reader.execute("SELECT id FROM patient")
        with pytest.raises(Exception, match="permission denied"):
            reader.execute("SELECT ssn FROM patient")


def test_a_new_column_is_granted_to_who_holds_single_columns(project):
    begin(project, clinic())
    after = clinic(Column("city", Text), Column("secret", Encrypted(str)))
    project.generate(after)
    project.upgrade(after)
    with project.database.connect("vaultdb_app_read") as reader:
        reader.execute("SELECT city FROM patient")
        with pytest.raises(Exception, match="permission denied"):
            reader.execute("SELECT secret FROM patient")


def test_a_metadata_with_several_schemas_and_a_list_of_metadatas_are_compared(project):
    with project.database.connect() as admin:
        admin.execute("CREATE SCHEMA app AUTHORIZATION vaultdb_owner")
    first = clinic(tenant="tenant_id")
    other = Table("log", first, Column("id", Integer, primary_key=True), schema="app")
    access(other, rw="insert")
    begin(project, first)
    assert project.differences(first) == []


def test_the_models_own_render_item_is_vaultdbs():
    assert options(MetaData())["render_item"] is not render_item  # it knows reflected types too
