"""What autogenerate grants is what `vaultdb roles` wants: neither has anything to add."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine

from tests.integration.alembic.autogenerate_models import clinic
from tests.integration.alembic.autogenerate_project import Project
from vaultdb.db.role_names import RoleNames
from vaultdb.roles.access import access
from vaultdb.roles.live import live_facts
from vaultdb.roles.wanted import about_declared, wanted_facts


@pytest.fixture
def project(tmp_path, database) -> Project:
    return Project(tmp_path / "migrations", database)


def test_after_an_upgrade_the_facts_are_those_that_are_wanted(project):
    metadata: MetaData = clinic(tenant="tenant_id", principal="name")
    identity = Table("audit", metadata, Column("id", Integer, primary_key=True), Column("x", Text))
    access(identity, rw="insert", ro=())
    project.generate(metadata)
    project.upgrade(metadata)
    names = RoleNames()
    url = project.database.migrate_url.replace("postgresql:", "postgresql+psycopg:", 1)
    engine = create_engine(url)
    with engine.connect() as connection:
        live = live_facts(connection, ["public"], names)
    engine.dispose()
    assert about_declared(live, metadata) == wanted_facts(metadata, names)
