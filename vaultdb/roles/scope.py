"""Which roles, schemas and tables vaultdb answers for in one database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from vaultdb.db.quoting import parts_of, qualified, quote_name
from vaultdb.db.role_names import RoleNames
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.roles.base import OWN_SCHEMAS, Base
from vaultdb.roles.declared import declared, undeclared
from vaultdb.roles.fact import Fact
from vaultdb.roles.snapshot import Snapshot
from vaultdb.roles.static_logins import admin_schema, engine_login, static_logins
from vaultdb.roles.wanted import about_declared, wanted_facts
from vaultdb.vault.lease_names import USER_PREFIX

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table

DEFAULT_SCHEMA = "public"

Members = Mapping[str, str]
"""Login to capability role, both unquoted."""


@dataclass(frozen=True)
class Scope:
    """The models and the roles of one database; names in it are as PostgreSQL prints them.

    Args:
        names: the capability roles.
        metadata: the models; none when only vaultdb's own facts are looked at.
        default_schema: where tables without a schema are, unquoted.
        logins: static logins to make, unquoted.
        members: logins under names of yours, unquoted, each with the capability role that it is
            rightly a member of.

    """

    names: RoleNames
    metadata: tuple[MetaData, ...] = ()
    default_schema: str = DEFAULT_SCHEMA
    logins: tuple[str, ...] = ()
    members: Members = field(default_factory=dict)

    def is_rightly(self, member: str, role: str) -> bool:
        """Whether a login under a name of the user's is to be a member of a capability role."""
        return any(
            (quote_name(login), quote_name(capability)) == (member, role)
            for login, capability in self.members.items()
        )

    @cached_property
    def model_schemas(self) -> frozenset[str]:
        """The schemas of the models, unquoted."""
        return frozenset(table.schema or self.default_schema for table in self._tables)

    @property
    def schemas(self) -> tuple[str, ...]:
        """The schemas to look into, unquoted."""
        others = {DEFAULT_SCHEMA, admin_schema(self.names), *self.model_schemas} - set(OWN_SCHEMAS)
        return (*OWN_SCHEMAS, *sorted(others))

    @cached_property
    def tables(self) -> frozenset[str]:
        """Every table of the models."""
        return frozenset(self._name(table) for table in self._tables)

    @cached_property
    def declared_tables(self) -> frozenset[str]:
        """The tables with declared access."""
        return frozenset(
            self._name(access.table) for each in self.metadata for access in declared(each).values()
        )

    @cached_property
    def undeclared_tables(self) -> frozenset[str]:
        """The tables of the models without declared access."""
        return frozenset(self._name(table) for each in self.metadata for table in undeclared(each))

    @cached_property
    def owner(self) -> str:
        """The owner of schemas and tables."""
        return quote_name(self.names.owner)

    @cached_property
    def capabilities(self) -> frozenset[str]:
        """The capability roles."""
        return frozenset(map(quote_name, self.names.all))

    @cached_property
    def logins_known(self) -> frozenset[str]:
        """Every static login."""
        return frozenset(quote_name(login.name) for login in static_logins(self.names))

    @cached_property
    def engine(self) -> str:
        """The login of Vault's database engine."""
        return quote_name(engine_login(self.names))

    def is_leased(self, role: str) -> bool:
        """Whether a role looks like a login that Vault leased."""
        name = parts_of(role)[0] if role else ""
        return name.startswith((USER_PREFIX, f"v_{self.names.prefix}"))

    def is_ours(self, role: str) -> bool:
        """Whether a role is one of vaultdb's, by its name."""
        return (
            role in self.capabilities
            or role in self.logins_known
            or role == self.engine
            or self.is_leased(role)
        )

    def wanted(self, snapshot: Snapshot) -> frozenset[Fact]:
        """Return every fact that shall hold, also about tables that do not exist yet."""
        base = Base(self.names, snapshot, self.model_schemas, self.logins)
        there = {f.object for f in snapshot.facts if (f.fact, f.kind) == ("owner", "table")}
        owners = {Fact("owner", "table", name, self.owner) for name in self.tables & there}
        of_models = self.wanted_of_models()
        plaintext = self.plaintext(snapshot)
        shown = {fact for fact in of_models if not self._opens(fact, plaintext)}
        return base.facts() | shown | self._ways_in(of_models, snapshot.database) | owners

    def plaintext(self, snapshot: Snapshot) -> frozenset[str]:
        """Return the columns that are declared as encrypted and still hold plaintext."""
        return self._encrypted & snapshot.columns - snapshot.binary_columns

    def _opens(self, fact: Fact, plaintext: Collection[str]) -> bool:
        """Whether a grant that was meant for ciphertext would open a column of plaintext."""
        is_meant = fact.kind == "column" and fact.who != quote_name(self.names.rw)
        return is_meant and fact.object in plaintext

    def wanted_of_models(self) -> frozenset[Fact]:
        """Return what is declared beside the models."""
        found = (
            wanted_facts(each, self.names, default_schema=self.default_schema)
            for each in self.metadata
        )
        return frozenset[Fact]().union(*found)

    def about_declared(self, facts: Iterable[Fact]) -> frozenset[Fact]:
        """Return those facts that declarations speak about."""
        facts = list(facts)
        found = (
            about_declared(facts, each, default_schema=self.default_schema)
            for each in self.metadata
        )
        return frozenset[Fact]().union(*found)

    def _ways_in(self, of_models: Iterable[Fact], database: str) -> set[Fact]:
        """Return CONNECT and USAGE for the roles of the user's that declarations name."""
        found: set[Fact] = set()
        for fact in of_models:
            if fact.fact == "grant" and fact.who not in self.capabilities:
                schema = qualified(parts_of(fact.object)[0])
                found.add(Fact("grant", "database", database, fact.who, "CONNECT"))
                found.add(Fact("grant", "schema", schema, fact.who, "USAGE"))
        return found

    @cached_property
    def _encrypted(self) -> frozenset[str]:
        return frozenset(
            qualified(table.schema or self.default_schema, table.name, column.name)
            for table in self._tables
            for column in encrypted_columns(table)
        )

    @cached_property
    def _tables(self) -> list[Table]:
        return [table for each in self.metadata for table in each.tables.values()]

    def _name(self, table: Table) -> str:
        return qualified(table.schema or self.default_schema, table.name)
