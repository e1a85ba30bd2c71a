"""The login of Vault's database engine: it hands out capability roles and can use none itself."""

from __future__ import annotations

from importlib import resources
from typing import Any, LiteralString, cast

from psycopg import sql

from vaultdb.db.role_names import RoleNames
from vaultdb.provision.lease_roles import admin_schema
from vaultdb.vault.lease_names import LEASE_PREFIX

USER_PREFIX = f"v_{LEASE_PREFIX.replace('-', '_')}"
"""What the names of leased logins begin with."""

ENGINE_CONNECTIONS = 10
"""Sessions of the engine's login at the same time; Vault is told to use fewer."""


def kill_sessions_sql(names: RoleNames) -> str:
    """Return the SQL that makes `kill_sessions`."""
    return (
        sql.SQL(_shipped("kill_sessions.sql"))
        .format(schema=sql.Identifier(admin_schema(names)), leased=sql.Literal(USER_PREFIX))
        .as_string(None)
    )


def _shipped(name: str) -> LiteralString:
    text: Any = resources.files("vaultdb.provision").joinpath("sql", name).read_text("utf-8")
    return cast("LiteralString", text)  # our own file, not a user's
