"""The state of a database that plans and checks start from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from vaultdb.db.own_path import own_path
from vaultdb.db.quoting import parts_of, qualified
from vaultdb.db.role_names import RoleNames
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.roles.fact import Fact
from vaultdb.roles.live import live_facts

_AROUND = text(shipped_sql("vaultdb.roles", "around"))

OPTIONS_PER_MEMBERSHIP = 16
"""Since this version, whether a membership is inherited is an option of each grant."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is true in a database, and who is asking; names are as PostgreSQL prints them."""

    facts: frozenset[Fact]
    database: str
    major: int
    login: str
    """Who logged in, unquoted."""
    acting: str
    """As which role."""
    is_superuser: bool
    is_creator: bool
    roles: frozenset[str]
    """Every role of the cluster."""
    memberships: frozenset[str]
    """The roles that the acting role is, or is a member of, however far."""
    columns: frozenset[str]
    binary_columns: frozenset[str]
    """Those of type bytea or a domain over it: the only ones that can hold ciphertext."""
    grantors: Mapping[tuple[str, str], tuple[str, ...]]
    """Role and member to those who granted it."""

    def owner(self, kind: str, name: str) -> str | None:
        """Return the owner of an object, None when there is no such object."""
        return next(
            (f.who for f in self.facts if (f.fact, f.kind, f.object) == ("owner", kind, name)), None
        )

    def attributes(self, role: str) -> Fact | None:
        """Return the attributes of a role, None when there is no such role."""
        return next((f for f in self.facts if f.fact == "role" and f.object == role), None)

    def setting(self, name: str, who: str = "") -> str | None:
        """Return a setting of this database, for everybody or for one role."""
        key = ("setting", "database", name, who)
        return next((f.value for f in self.facts if (f.fact, f.kind, f.object, f.who) == key), None)

    @property
    def has_options_per_membership(self) -> bool:
        """Whether a membership has INHERIT and SET of its own."""
        return self.major >= OPTIONS_PER_MEMBERSHIP


def take(connection: Connection, schemas: Collection[str], names: RoleNames) -> Snapshot:
    """Return the state of the database of `connection`.

    Args:
        connection: in a transaction, or about to begin one.
        schemas: those to look into, unquoted.
        names: the capability roles.

    """
    facts = live_facts(connection, schemas, names)
    with own_path(connection):
        row = connection.execute(_AROUND, {"schemas": list(schemas)}).one()
    grantors: dict[tuple[str, str], list[str]] = defaultdict(list)
    for role, member, grantor in row.grantors:
        grantors[role, member].append(grantor)
    return Snapshot(
        facts,
        database=row.database,
        major=row.major,
        login=row.login,
        acting=row.acting,
        is_superuser=row.is_superuser,
        is_creator=row.is_creator,
        roles=frozenset(row.roles),
        memberships=frozenset(row.memberships),
        columns=_printed(row.columns),
        binary_columns=_printed(row.binary_columns),
        grantors={key: tuple(found) for key, found in grantors.items()},
    )


def _printed(names: Iterable[str]) -> frozenset[str]:
    return frozenset(qualified(*parts_of(name)) for name in names)
