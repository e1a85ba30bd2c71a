"""The SQL that turns one set of facts about roles, schemas and settings into another.

Names in facts are as PostgreSQL prints them, so they stand in SQL as they are. What concerns
tables, columns, sequences and policies is in `statements`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from vaultdb.db.privileges import Privilege
from vaultdb.db.quoting import LIST_SETTINGS, literal, parts_of, qualified
from vaultdb.db.role_names import RoleNames
from vaultdb.roles import audit, functions
from vaultdb.roles.base import POWERS
from vaultdb.roles.fact import Fact
from vaultdb.roles.snapshot import Snapshot
from vaultdb.roles.statements import BY, GRANT_OPTION, GRANTED_ON, statements

ROLES, LEAVE, JOIN, DEFAULTS, SCHEMAS, OBJECTS, REVOKES, GRANTS, TABLES, SETTINGS = range(10)
"""The order of things: roles first, and nothing is granted before what was open is closed."""


Step = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Writer:
    """Write the SQL for one database."""

    names: RoleNames
    snapshot: Snapshot

    def write(
        self, missing: Iterable[Fact], excess: Iterable[Fact], wanted: Iterable[Fact]
    ) -> list[str]:
        """Return the statements that make `missing` true and `excess` untrue, in order."""
        add, remove = sorted(missing), sorted(excess)
        made = {(fact.fact, fact.object, fact.who) for fact in add}
        steps = [step for fact in add for step in self._make(fact, remove)]
        for fact in remove:
            if (fact.fact, fact.object, fact.who) not in made or fact.fact == "grant":
                steps += self._unmake(fact)
        ordered = [text for _, text in sorted(dict.fromkeys(steps), key=lambda step: step[0])]
        on_tables = statements(
            (f for f in add if _is_on_table(f)),
            (f for f in remove if _is_on_table(f)),
            wanted=(f for f in wanted if _is_on_table(f) and f in self.snapshot.facts),
        )
        before = sum(1 for order, _ in dict.fromkeys(steps) if order < TABLES)
        return [*ordered[:before], *on_tables, *ordered[before:]]

    def _make(self, fact: Fact, remove: list[Fact]) -> Iterator[Step]:
        makers: dict[str, Callable[[Fact], Iterator[Step]]] = {
            "role": self._make_role,
            "owner": self._make_owner,
            "setting": self._make_setting,
            "source": self._make_source,
            "trigger": self._make_source,
        }
        if fact.fact == "member":
            yield from self._make_member(fact, remove)
        elif fact.fact == "grant" and not _is_on_table(fact):
            yield GRANTS, Privilege(fact.kind, fact.object, fact.value).grant(fact.who)
        elif fact.fact in makers:
            yield from makers[fact.fact](fact)

    def _unmake(self, fact: Fact) -> Iterator[Step]:
        if fact.fact == "grant" and not _is_on_table(fact):
            yield REVOKES, self._revoke(fact)
        elif fact.fact == "default":
            role, _, schema = fact.object.rpartition(":")
            place = "" if schema == "*" else f" IN SCHEMA {schema}"
            revoke = f"REVOKE {fact.value} ON {fact.kind.upper()} FROM {fact.who}"
            yield DEFAULTS, f"ALTER DEFAULT PRIVILEGES FOR ROLE {role}{place} {revoke}"
        elif fact.fact == "member":
            for by in self._granted_by(fact):
                yield LEAVE, f"REVOKE {fact.object} FROM {fact.who}{by}"
        elif fact.fact == "setting":
            yield SETTINGS, f"{self._whose(fact)} RESET {fact.object}"
        elif fact.fact == "trigger" and not audit.is_clone(fact):
            *table, name = parts_of(fact.object)
            yield OBJECTS, f"DROP TRIGGER {qualified(name)} ON {qualified(*table)}"

    def _revoke(self, fact: Fact) -> str:
        privilege = Privilege(fact.kind, fact.object, fact.value)
        _, _, grantor = fact.extra.partition(BY)
        if grantor:
            return f"REVOKE GRANT OPTION FOR {privilege.clause} FROM {grantor} CASCADE"
        cascade = " CASCADE" if fact.extra == GRANT_OPTION else ""
        return f"{privilege.revoke(fact.who)}{cascade}"

    def _make_role(self, fact: Fact) -> Iterator[Step]:
        there = self.snapshot.attributes(fact.object)
        have = there.value.split() if there else []
        wanted = fact.value.split()
        words = [word for word in wanted if word not in have and word not in POWERS]
        if there is None or there.extra != fact.extra:
            words.append(f"CONNECTION LIMIT {int(fact.extra)}")
        if words:
            verb = "ALTER" if there else "CREATE"
            yield ROLES, f"{verb} ROLE {fact.object} {' '.join(words)}"
        # One by one: a login that is no superuser may change some and not others.
        for word in POWERS:
            if (word in wanted) is not (word in have):
                sign = "" if word in wanted else "NO"
                yield ROLES, f"ALTER ROLE {fact.object} {sign}{word}"

    def _make_member(self, fact: Fact, remove: list[Fact]) -> Iterator[Step]:
        there = [
            f for f in remove if (f.fact, f.object, f.who) == (fact.fact, fact.object, fact.who)
        ]
        if any("ADMIN" in each.extra for each in there):
            for by in self._granted_by(fact):
                yield LEAVE, f"REVOKE ADMIN OPTION FOR {fact.object} FROM {fact.who}{by}"
        options = ""
        if self.snapshot.has_options_per_membership:
            inherit = "TRUE" if fact.value == "INHERIT" else "FALSE"
            options = f" WITH INHERIT {inherit}, SET TRUE"
        yield JOIN, f"GRANT {fact.object} TO {fact.who}{options}"

    def _granted_by(self, fact: Fact) -> list[str]:
        grantors = self.snapshot.grantors.get((fact.object, fact.who), ())
        if not self.snapshot.has_options_per_membership or not grantors:
            return [""]
        return [f" GRANTED BY {grantor}" for grantor in grantors]

    def _make_owner(self, fact: Fact) -> Iterator[Step]:
        if fact.kind == "schema":
            if self.snapshot.owner("schema", fact.object) is None:
                yield SCHEMAS, f"CREATE SCHEMA {fact.object} AUTHORIZATION {fact.who}"
            else:
                yield SCHEMAS, f"ALTER SCHEMA {fact.object} OWNER TO {fact.who}"
        elif self.snapshot.owner(fact.kind, fact.object) is not None:
            yield SCHEMAS, f"ALTER {fact.kind.upper()} {fact.object} OWNER TO {fact.who}"
        elif audit.makes(fact):
            yield from self._make_source(fact)

    def _make_source(self, fact: Fact) -> Iterator[Step]:
        if audit.makes(fact):
            for statement in audit.making(qualified(self.names.audit_owner)):
                yield OBJECTS, statement
        for statement in functions.making(fact):
            yield OBJECTS, statement

    def _make_setting(self, fact: Fact) -> Iterator[Step]:
        value = fact.value if fact.object in LIST_SETTINGS else literal(fact.value)
        yield SETTINGS, f"{self._whose(fact)} SET {fact.object} = {value}"

    def _whose(self, fact: Fact) -> str:
        in_database = fact.kind == "database"
        if not fact.who:
            return f"ALTER DATABASE {self.snapshot.database}" if in_database else "ALTER ROLE ALL"
        place = f" IN DATABASE {self.snapshot.database}" if in_database else ""
        return f"ALTER ROLE {fact.who}{place}"


def _is_on_table(fact: Fact) -> bool:
    return fact.fact in {"rls", "policy"} or (fact.fact == "grant" and fact.kind in GRANTED_ON)
