"""What a PostgreSQL for vaultdb is to look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vaultdb.db.role_names import RoleNames
from vaultdb.roles.static_logins import static_logins


@dataclass(frozen=True, slots=True)
class PostgresSpec:
    """The roles of one database.

    Args:
        names: of the capability roles.
        logins: static logins to make, unquoted; those that exist are always looked after.
        passwords: of logins, the engine's among them, by name; secret. The engine's is set only
            when it has none, for Vault may have changed it since.
        engine: make the login of Vault's database engine.
        static: it changes the passwords of the static logins, and makes no users.
        accept_createrole: make it with CREATEROLE also on PostgreSQL 15, where that is as much as
            a superuser.
        reset_engine: set the engine's password although it has one: Vault must then be told.

    """

    names: RoleNames = field(default_factory=RoleNames)
    logins: tuple[str, ...] = ()
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    engine: bool = True
    static: bool = False
    accept_createrole: bool = False
    reset_engine: bool = False


def all_logins(names: RoleNames) -> tuple[str, ...]:
    """Return the names of all static logins."""
    return tuple(login.name for login in static_logins(names))
