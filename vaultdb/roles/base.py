"""What vaultdb itself wants to be true: roles, memberships, database, schemas, settings.

Nothing here depends on the models. What an administrator has chosen stays: a connection limit, a
timeout that is not zero, a search path, as long as it ends with pg_temp.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from vaultdb.db.audit_schema import AUDIT_SCHEMA
from vaultdb.db.grants import privileges
from vaultdb.db.quoting import parts_of, qualified, quote_name, split_list
from vaultdb.db.role_names import RoleNames
from vaultdb.db.schema import MIGRATIONS_SCHEMA, SCHEMA
from vaultdb.roles.audit import audit_facts
from vaultdb.roles.fact import Fact
from vaultdb.roles.functions import function_facts
from vaultdb.roles.snapshot import Snapshot
from vaultdb.roles.static_logins import StaticLogin, static_logins

OWN_SCHEMAS = (SCHEMA, AUDIT_SCHEMA, MIGRATIONS_SCHEMA)
"""The schemas that are vaultdb's alone: whatever is there and not known is drift."""

READ_ALL = "pg_read_all_data"
"""PostgreSQL's own role, for backups."""

TIMEOUTS = {
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "5s",
}
"""For every session of the database, also of leased logins; one that is there and not 0 stays."""

POWERS = ("SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS")
"""Attributes of a role that no login of vaultdb needs, but the engine's CREATEROLE."""

TEMPORARY = "pg_temp"
"""Searched first unless it is named: last in the path, nobody can put a table before another."""

_ZERO = re.compile(r"0+\D*")


@dataclass(frozen=True, slots=True)
class Base:
    """The wanted facts of one database.

    Args:
        names: the capability roles.
        snapshot: what is there: what does not exist yet needs no grants.
        schemas: where the models' tables are, unquoted.
        logins: static logins to make; those that exist are always looked after.

    """

    names: RoleNames
    snapshot: Snapshot
    schemas: Collection[str] = ()
    logins: Collection[str] = ()

    def facts(self) -> frozenset[Fact]:
        """Return every fact that shall hold."""
        return frozenset(
            [
                *self._roles(),
                *self._logins(),
                *self._database(),
                *self._schemas(),
                *self._own_objects(),
                *self._settings(),
                *audit_facts(self.names, self.snapshot),
                *function_facts(self.snapshot, self.names.owner),
            ]
        )

    def wanted_logins(self) -> list[StaticLogin]:
        """Return the static logins that exist or shall be made."""
        return [
            login
            for login in static_logins(self.names)
            if login.name in self.logins or quote_name(login.name) in self.snapshot.roles
        ]

    def _roles(self) -> Iterator[Fact]:
        for role in self.names.all:
            bypass = " BYPASSRLS" if role == self.names.backup else ""
            yield Fact("role", "attributes", quote_name(role), "", f"NOLOGIN INHERIT{bypass}", "-1")
        yield Fact("member", "role", READ_ALL, quote_name(self.names.backup), "INHERIT")

    def _logins(self) -> Iterator[Fact]:
        for login in self.wanted_logins():
            name = quote_name(login.name)
            inherit = "NOINHERIT" if login.acts_as_capability else "INHERIT"
            limit = self._limit(name, login.connections)
            yield Fact("role", "attributes", name, "", f"LOGIN {inherit}", limit)
            yield Fact("member", "role", quote_name(login.capability), name, inherit)

    def _limit(self, login: str, wanted: int) -> str:
        there = self.snapshot.attributes(login)
        return there.extra if there and int(there.extra) > 0 else str(wanted)

    def _database(self) -> Iterator[Fact]:
        may_connect = [role for role in self.names.all if role != self.names.audit_owner]
        may_connect += [login.name for login in self.wanted_logins() if login.acts_as_capability]
        grants = [(role, "CONNECT") for role in may_connect] + [(self.names.owner, "CREATE")]
        owner = self.snapshot.owner("database", self.snapshot.database)
        for role, privilege in grants:
            if quote_name(role) != owner:
                yield self._grant("database", self.snapshot.database, role, privilege)

    def _schemas(self) -> Iterator[Fact]:
        names = self.names
        for schema in {"public", *self.schemas} - set(OWN_SCHEMAS):
            name = quote_name(schema)
            owner = self.snapshot.owner("schema", name)
            if owner is None:
                continue
            if owner != quote_name(names.owner):
                yield self._grant("schema", name, names.owner, "USAGE")
                yield self._grant("schema", name, names.owner, "CREATE")
            for role in (names.rw, names.ro, names.rotator):
                yield self._grant("schema", name, role, "USAGE")
        # A login that may use no schema of its search path cannot even ask for the current one.
        if self.snapshot.owner("schema", "public") is not None:
            for role in (names.officer, names.auditor):
                yield self._grant("schema", "public", role, "USAGE")
        for schema in (SCHEMA, MIGRATIONS_SCHEMA):
            if self.snapshot.owner("schema", schema) is not None:
                yield Fact("owner", "schema", schema, quote_name(names.owner))

    def _own_objects(self) -> Iterator[Fact]:
        for fact in self.snapshot.facts:
            is_ours = fact.fact == "owner" and fact.kind in {"table", "function", "type"}
            if is_ours and schema_of(fact) in {SCHEMA, MIGRATIONS_SCHEMA}:
                yield Fact("owner", fact.kind, fact.object, quote_name(self.names.owner))
        for role, held in privileges(self.names).items():
            for each in held:
                is_column = each.kind == "column"
                there = qualified(*parts_of(each.object)[:2]) if is_column else each.object
                if self.snapshot.owner("table" if is_column else each.kind, there) is not None:
                    yield self._grant(each.kind, each.object, role, each.privilege)

    def _grant(self, kind: str, name: str, role: str, privilege: str) -> Fact:
        return Fact("grant", kind, name, quote_name(role), privilege)

    def _settings(self) -> Iterator[Fact]:
        path = search_path_of(self.snapshot.setting("search_path"))
        yield Fact("setting", "database", "search_path", "", path)
        for name, default in TIMEOUTS.items():
            yield self._setting(name, default, "")
        for login in self.wanted_logins():
            who = quote_name(login.name)
            if login.acts_as_capability:
                yield Fact("setting", "database", "role", who, login.capability)
            for name, value in login.settings.items():
                if name in TIMEOUTS and not is_zero(value):
                    yield self._setting(name, value, who)
                else:
                    yield Fact("setting", "database", name, who, value)

    def _setting(self, name: str, default: str, who: str) -> Fact:
        there = self.snapshot.setting(name, who)
        value = there if there is not None and not is_zero(there) else default
        return Fact("setting", "database", name, who, value)


def is_zero(value: str) -> bool:
    """Whether a setting of time is switched off."""
    return _ZERO.fullmatch(value) is not None


def search_path_of(value: str | None) -> str:
    """Return a search path with pg_temp last; `public` when there was none."""
    elements = split_list(value) if value is not None else ["public"]
    return ", ".join([*(each for each in elements if each != TEMPORARY), TEMPORARY])


def schema_of(fact: Fact) -> str:
    """Return the schema, unquoted, of what a fact is about."""
    return parts_of(fact.object.partition("(")[0])[0]
