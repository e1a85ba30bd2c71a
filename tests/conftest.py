"""Fixtures for every test: real servers over TLS, started on first use.

==================  ========  ================================================================
``openbao``         session   OpenBao in memory: ``.addr .ca_cert .admin .admin_token
                              .settings(role) .values(role) .approle(role) .new_transit()``
``postgres``        session   PostgreSQL: ``.admin_url .url(database, user) .create_database()``
``database``        function  a migrated database: ``.url .migrate_url .officer_url .rotator_url
                              .admin_url .sqlalchemy_url .connect() .create_all(metadata) .realm``
``any_postgres``    session   ``postgres``, then ``postgres17``: a test runs with each
``any_database``    function  a migrated database in each
``own_openbao``     function  an OpenBao (raft) to maltreat: ``.faults.kill() .freeze() …``
``own_postgres``    function  a PostgreSQL to maltreat, likewise
``leasing``         function  OpenBao leases logins of ``database``: ``.settings(role)
                              .creds_role(lease, ttl=, max_ttl=) .credentials(lease)``
``shared_leasing``  module    the same with one database, to which nothing is written
``own_leasing``     function  the same with ``own_openbao``
``realm``           session   the realm of every test database
==================  ========  ================================================================

The fixtures themselves are in ``tests/fixtures``; types for annotations too
(``from tests.fixtures.postgres import Database``).
"""

from __future__ import annotations

import logging
import os
import sys
from weakref import WeakSet

import pytest

pytest_plugins = [
    "tests.fixtures.folders",
    "tests.fixtures.openbao",
    "tests.fixtures.postgres",
    "tests.fixtures.leasing",  # imports the others
]


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> None:
    """Keep the developer's own settings out of the tests."""
    for name in [n for n in os.environ if n.startswith(("VAULTDB_", "VAULT_", "BAO_", "PG"))]:
        if not name.startswith("VAULTDB_DEV_"):
            del os.environ[name]


@pytest.fixture(autouse=True)
def _no_claims_unless_declared_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the policies that other tests declare add no statement to those of this test."""
    claims = sys.modules.get("vaultdb.orm.claims")
    if claims is not None:
        monkeypatch.setattr(claims, "_guarded", WeakSet())


@pytest.fixture(autouse=True)
def _no_lines_of_commands_that_other_tests_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget handlers that a command adds, which would print what later tests have logged."""
    for name in ("vaultdb", "procrastinate"):
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "handlers", list(logger.handlers))
