"""What `roles apply` would do to a database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from vaultdb.roles.base_statements import Writer
from vaultdb.roles.comparison import Comparison, compare
from vaultdb.roles.scope import DEFAULT_SCHEMA, Members, Scope
from vaultdb.roles.snapshot import Snapshot, take

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from vaultdb.db.role_names import RoleNames
    from vaultdb.roles.fact import Fact


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between a database and what is wanted, and the SQL that ends it."""

    missing: frozenset[Fact]
    """Facts that will be true."""
    excess: frozenset[Fact]
    """Facts that will not be true any more."""
    statements: tuple[str, ...]
    """SQL, to be run in one transaction, without parameters."""
    comparison: Comparison
    scope: Scope
    snapshot: Snapshot

    def __bool__(self) -> bool:
        return bool(self.missing or self.excess)


def plan(
    connection: Connection,
    metadata: MetaData | Collection[MetaData] | None,
    names: RoleNames,
    *,
    default_schema: str = DEFAULT_SCHEMA,
    logins: Collection[str] = (),
    members: Members = MappingProxyType({}),
) -> Plan:
    """Return what `apply` would do to the database of `connection`; any login can ask.

    Args:
        connection: in a transaction, or about to begin one; nothing is changed.
        metadata: the models, whose declarations of access are part of what is wanted.
        names: the capability roles.
        default_schema: where tables without a schema are, unquoted.
        logins: static logins to make when they are missing, unquoted, without a password; those
            that exist are always looked after.
        members: logins under names of yours and their capability roles, unquoted.

    """
    scope = Scope(names, _several(metadata), default_schema, tuple(logins), members)
    return plan_of(scope, take(connection, scope.schemas, names))


def plan_of(scope: Scope, snapshot: Snapshot) -> Plan:
    """Return the plan for a state that was taken before."""
    found = compare(scope, snapshot)
    writer = Writer(scope.names, snapshot)
    text = writer.write(found.missing, found.excess, found.wanted)
    return Plan(found.missing, found.excess, tuple(text), found, scope, snapshot)


def _several(metadata: MetaData | Collection[MetaData] | None) -> tuple[MetaData, ...]:
    if metadata is None:
        return ()
    return tuple(metadata) if isinstance(metadata, Collection) else (metadata,)
