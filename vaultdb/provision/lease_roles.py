"""The logins that Vault leases: which capability each gets, and the SQL that makes and ends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from psycopg import sql

from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError

LEASE_PREFIX = "vaultdb-"
"""What the names of the engine's roles begin with; a role's user is `v_vaultdb_app_rw_…`."""

USERNAME_TEMPLATE = (
    '{{ printf "v_%s_%s_%s" (.RoleName | replace "-" "_" | truncate 36)'
    " (random 10 | lowercase) (unix_time) }}"
)
"""At most 2 + 36 + 1 + 10 + 1 + 10 bytes: PostgreSQL would cut a name after 63."""


class Lease(StrEnum):
    """The leased logins; the engine's role is `vaultdb-` and this."""

    APP_RW = "app-rw"
    APP_RO = "app-ro"
    MIGRATOR = "migrator"
    ROTATOR = "rotator"
    OFFICER = "officer"
    AUDITOR = "auditor"
    BACKUP = "backup"

    @property
    def engine_role(self) -> str:
        """The name of the database engine's role."""
        return f"{LEASE_PREFIX}{self}"

    def capability(self, names: RoleNames) -> str:
        """Return the capability role that the login is a member of."""
        return {
            Lease.APP_RW: names.rw,
            Lease.APP_RO: names.ro,
            Lease.MIGRATOR: names.owner,
            Lease.ROTATOR: names.rotator,
            Lease.OFFICER: names.officer,
            Lease.AUDITOR: names.auditor,
            Lease.BACKUP: names.backup,
        }[self]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one leased login is limited to, beside its capability.

    Args:
        connections: sessions at the same time.
        acts_as_capability: take the capability role at login: what a migration creates belongs to
            the owner, and BYPASSRLS is an attribute, which a member does not inherit.
        settings: of PostgreSQL, for its sessions; weaker ones of the database do not count.

    """

    connections: int
    acts_as_capability: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


LIMITS = {
    Lease.APP_RW: Limits(100),
    Lease.APP_RO: Limits(50, settings={"default_transaction_read_only": "on"}),
    Lease.MIGRATOR: Limits(
        5, acts_as_capability=True, settings={"statement_timeout": "15min", "lock_timeout": "3s"}
    ),
    Lease.ROTATOR: Limits(20),
    Lease.OFFICER: Limits(5),
    Lease.AUDITOR: Limits(5, settings={"default_transaction_read_only": "on"}),
    Lease.BACKUP: Limits(
        5,
        acts_as_capability=True,
        settings={
            "default_transaction_read_only": "on",
            "statement_timeout": "0",
            "idle_in_transaction_session_timeout": "0",
        },
    ),
}


def creation_statements(lease: Lease, names: RoleNames) -> list[str]:
    """Return what the engine runs, in one transaction, for a new login.

    The login gets one membership and not a single privilege: it can then be dropped at once.

    Raises:
        ConfigurationError: a role name that the engine would tear apart.

    """
    limits, capability = LIMITS[lease], lease.capability(names)
    _refuse_torn(capability)
    statements = [
        sql.SQL(
            "CREATE ROLE \"{{{{name}}}}\" LOGIN INHERIT PASSWORD '{{{{password}}}}' VALID UNTIL"
            " '{{{{expiration}}}}' CONNECTION LIMIT {connections} IN ROLE {capability}"
        ).format(connections=sql.Literal(limits.connections), capability=sql.Identifier(capability))
    ]
    settings = dict(limits.settings)
    if limits.acts_as_capability:
        settings["role"] = capability
    statements += [
        sql.SQL('ALTER ROLE "{{{{name}}}}" SET {} = {}').format(
            sql.Identifier(name), sql.Literal(value)
        )
        for name, value in settings.items()
    ]
    return [statement.as_string(None) for statement in statements]


def revocation_statements(names: RoleNames) -> list[str]:
    """Return what the engine runs, in one transaction, when a lease ends.

    PostgreSQL lets the sessions of a dropped role live on, a migrator's even as the owner.
    """
    _refuse_torn(names.prefix)
    kill = sql.SQL("SELECT {}.kill_sessions('{{{{name}}}}')").format(
        sql.Identifier(admin_schema(names))
    )
    return [kill.as_string(None), 'DROP ROLE IF EXISTS "{{name}}"']


def admin_schema(names: RoleNames) -> str:
    """Return the name of the schema that holds `kill_sessions`."""
    return f"{names.prefix}admin"


def _refuse_torn(name: str) -> None:
    if ";" in name or "{{" in name or "}}" in name:
        raise ConfigurationError(
            f"vault's database engine cannot lease logins for the role {name!r}: it cuts its"
            " statements at semicolons and fills in what stands in double braces; choose another"
            " database.role_prefix"
        )
