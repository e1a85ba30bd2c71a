"""The logins that Vault leases: which capability each gets, and the SQL that makes and ends it."""

from __future__ import annotations

from psycopg import sql

from vaultdb.db.quoting import LIST_SETTINGS, parts_of, split_list
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError
from vaultdb.roles.static_logins import StaticLogin, admin_schema, static_logins
from vaultdb.vault.lease_names import Lease

USERNAME_TEMPLATE = (
    '{{ printf "v_%s_%s_%s" (.RoleName | replace "-" "_" | truncate 36)'
    " (random 10 | lowercase) (unix_time) }}"
)
"""At most 2 + 36 + 1 + 10 + 1 + 10 bytes: PostgreSQL would cut a name after 63."""


def login_of(lease: Lease, names: RoleNames) -> StaticLogin:
    """Return the static login that does the same work: a leased one gets the same, no more."""
    capability = {
        Lease.APP_RW: names.rw,
        Lease.APP_RO: names.ro,
        Lease.MIGRATOR: names.owner,
        Lease.ROTATOR: names.rotator,
        Lease.OFFICER: names.officer,
        Lease.AUDITOR: names.auditor,
        Lease.SEQUENCER: names.sequencer,
        Lease.BACKUP: names.backup,
    }[lease]
    return next(login for login in static_logins(names) if login.capability == capability)


def creation_statements(lease: Lease, names: RoleNames) -> list[str]:
    """Return what the engine runs, in one transaction, for a new login.

    The login gets one membership and not a single privilege: it can then be dropped at once.

    Raises:
        ConfigurationError: a role name that the engine would tear apart.

    """
    login = login_of(lease, names)
    _refuse_torn(login.capability)
    statements = [
        sql.SQL(
            "CREATE ROLE \"{{{{name}}}}\" LOGIN INHERIT PASSWORD '{{{{password}}}}' VALID UNTIL"
            " '{{{{expiration}}}}' CONNECTION LIMIT {connections} IN ROLE {capability}"
        ).format(
            connections=sql.Literal(login.connections), capability=sql.Identifier(login.capability)
        )
    ]
    settings = dict(login.settings)
    if login.acts_as_capability:
        settings["role"] = login.capability
    statements += [
        sql.SQL('ALTER ROLE "{{{{name}}}}" SET {} = {}').format(
            sql.Identifier(name), sql.SQL(", ").join(map(sql.Literal, _elements(name, value)))
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


def rotation_statements(names: RoleNames) -> list[str]:
    """Return what the engine runs to change a static login's password."""
    _refuse_torn(names.prefix)
    change = sql.SQL("SELECT {}.set_password('{{{{name}}}}', '{{{{password}}}}')").format(
        sql.Identifier(admin_schema(names))
    )
    return [change.as_string(None)]


def _elements(setting: str, value: str) -> list[str]:
    """Return the elements of a list, which would be one name in one pair of quotes."""
    if setting not in LIST_SETTINGS:
        return [value]
    return [parts_of(each)[0] for each in split_list(value)]


def _refuse_torn(name: str) -> None:
    if ";" in name or "{{" in name or "}}" in name:
        raise ConfigurationError(
            f"vault's database engine cannot lease logins for the role {name!r}: it cuts its"
            " statements at semicolons and fills in what stands in double braces; choose another"
            " database.role_prefix"
        )
