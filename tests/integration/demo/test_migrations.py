"""The demo's own migration: written by hand after what was generated, so it may fall behind."""

from __future__ import annotations

from tests.fixtures.postgres import Database
from vaultdb.alembic import checks, runner
from vaultdb.alembic.session import migrating
from vaultdb.alembic.trees import APP, Tree
from vaultdb.db.role_names import RoleNames
from vaultdb.demo.model import Base
from vaultdb.demo.privileges import MIGRATIONS
from vaultdb.roles.live import live_facts
from vaultdb.roles.wanted import wanted_facts


def test_the_migration_makes_what_the_model_declares(database: Database) -> None:
    tree = Tree(APP, MIGRATIONS)

    with migrating(database.migrate_url) as session:
        runner.upgrade(session, realm=database.realm, app=tree)
        missing, findings = checks.check(session, tree)
        found = live_facts(session.connection, ["public"], RoleNames())

    assert (missing, findings) == ([], [])
    wanted = wanted_facts(Base.metadata, RoleNames())
    assert wanted - found == set()


def test_the_migration_can_be_taken_back(database: Database) -> None:
    tree = Tree(APP, MIGRATIONS)

    with migrating(database.migrate_url) as session:
        runner.upgrade(session, realm=database.realm, app=tree)
        runner.downgrade(session, realm=database.realm, tree=tree, revision="base")

    with database.connect() as connection:
        assert connection.execute("SELECT to_regclass('patient')").fetchone() == (None,)
