"""Logins that Vault does not lease: of static roles, whose passwords it changes, and fixed ones."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import sql
from sqlalchemy import NullPool, text
from sqlalchemy.exc import OperationalError

import vaultdb
from tests.fixtures.leasing import Leasing
from tests.integration.leases.conftest import admin_login, user_of


def rotate(leasing: Leasing, role: str) -> None:
    leasing.admin.write(f"{leasing.mount}/rotate-role/{role}")


@pytest.fixture
def static_role(leasing: Leasing) -> Any:
    """A static role of the engine on a user of its own."""
    user = f"static_{leasing.database.name}"
    with leasing.database.connect() as connection:
        name = sql.Identifier(user)
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x' IN ROLE vaultdb_rw").format(name)
        )
        if connection.info.server_version >= 160000:
            connection.execute(sql.SQL("GRANT {} TO vaultdb_vault WITH ADMIN OPTION").format(name))
    config = f"{leasing.mount}/config/vaultdb"
    leasing.admin.write(config, plugin_name="postgresql-database-plugin", allowed_roles="*")
    path = f"{leasing.mount}/static-roles/vaultdb-static"
    leasing.admin.write(path, db_name="vaultdb", username=user, rotation_period="1h")
    yield user
    leasing.admin._call("DELETE", path, None)
    with leasing.database.connect() as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
        connection.execute(sql.SQL("DROP ROLE {}").format(name))


def test_a_static_role_keeps_its_user_and_follows_its_password(
    leasing: Leasing, leased: Any, static_role: str
) -> None:
    changes = {"lease": "vaultdb-static", "lease_kind": "static"}
    subject = leased(database=changes, vault=admin_login(leasing), pool_size=2)
    with subject.engine.connect() as held:
        pid = held.scalar(text("SELECT pg_backend_pid()"))
        rotate(leasing, "vaultdb-static")
        assert subject.user() == static_role, "refused once, then read again"
        assert held.scalar(text("SELECT pg_backend_pid()")) == pid
    with subject.engine.connect() as again:
        assert again.scalar(text("SELECT session_user::text")) == static_role


def test_a_fixed_login_works_as_before_and_asks_no_vault(leasing: Leasing, tmp_path: Any) -> None:
    password = tmp_path / "password"
    password.write_text("wrong")
    url = leasing.database.postgres.server
    changes: dict[str, Any] = {
        "url": leasing.url.replace("://", "://vaultdb_app@"),
        "lease": None,
        "password_file": password,
    }
    settings = leasing.settings(
        database=changes, vault={"addr": "https://127.0.0.1:9"}, keys="memory"
    )
    engine = vaultdb.create_engine(settings=settings, poolclass=NullPool)
    with pytest.raises(OperationalError, match="password authentication failed"):
        engine.connect()
    password.write_text(leasing.database.postgres.passwords["vaultdb_app"])
    assert user_of(engine) == "vaultdb_app"
    assert url is not None
    engine.dispose()
