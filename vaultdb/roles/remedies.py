"""The SQL that ends a difference: what `roles apply` runs, or what an operator has to decide on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vaultdb.db.privileges import Privilege
from vaultdb.db.quoting import parts_of, qualified, split_list
from vaultdb.roles import audit
from vaultdb.roles.base import POWERS, TEMPORARY, schema_of
from vaultdb.roles.base_statements import Writer
from vaultdb.roles.drift import Difference
from vaultdb.roles.fact import Fact
from vaultdb.roles.scope import Scope
from vaultdb.roles.static_logins import admin_schema

APPLY = "vaultdb roles apply"
"""The remedy where more than one statement is needed."""


@dataclass(frozen=True, slots=True)
class Remedies:
    """Write remedies for one database."""

    scope: Scope
    writer: Writer
    wanted: frozenset[Fact]

    def repair(self, difference: Difference) -> str:
        """Return what `roles apply` runs to end a difference."""
        if difference.wanted and audit.makes(difference.wanted):
            is_there = difference.found is not None and difference.found.fact == "trigger"
            table, _, _ = difference.fact.object.rpartition(".")
            return f"ALTER TABLE {table} ENABLE TRIGGER USER" if is_there else APPLY
        missing = [difference.wanted] if difference.wanted else []
        excess = [difference.found] if difference.found else []
        return "; ".join(self.writer.write(missing, excess, self.wanted))

    def decide(self, fact: Fact) -> str:
        """Return what an operator may run to end a fact that `roles apply` leaves alone."""
        remedies: dict[str, Callable[[Fact], str]] = {
            "grant": lambda f: Privilege(f.kind, f.object, f.value).revoke(f.who),
            "owner": self._owner,
            "role": _role,
            "definer": _definer,
            "source": lambda f: f"DROP ROUTINE {f.object}",
            "trigger": _trigger,
            "view": lambda f: f"ALTER VIEW {f.object} SET (security_invoker = true)",
            "publication": _publication,
            "rule": lambda f: f"DROP RULE {_on_table(f)}",
            "event_trigger": lambda f: f"DROP EVENT TRIGGER {f.object}",
            "server": lambda f: f"ALTER SYSTEM RESET {f.object}; SELECT pg_reload_conf()",
        }
        remedy = remedies.get(fact.fact)
        return remedy(fact) if remedy else "; ".join(self.writer.write([], [fact], self.wanted))

    def _owner(self, fact: Fact) -> str:
        is_admins = fact.kind == "database" or schema_of(fact) == admin_schema(self.scope.names)
        owner = "CURRENT_USER" if is_admins else self.scope.owner
        return f"ALTER {fact.kind.upper()} {fact.object} OWNER TO {owner}"


def _role(fact: Fact) -> str:
    powers = sorted(set(POWERS).intersection(fact.value.split()))
    return f"ALTER ROLE {fact.object} {' '.join('NO' + power for power in powers)}"


def _definer(fact: Fact) -> str:
    path = next((s for s in fact.value.split(";") if s.startswith("search_path=")), None)
    schema = qualified(parts_of(fact.object.partition("(")[0])[0])
    found = split_list(path.partition("=")[2]) if path else ["pg_catalog", schema]
    elements = [each for each in found if each not in {TEMPORARY, '""'}]
    return f"ALTER ROUTINE {fact.object} SET search_path = {', '.join([*elements, TEMPORARY])}"


def _trigger(fact: Fact) -> str:
    *table, name = parts_of(fact.object)
    if fact.kind == "disabled":
        return f"ALTER TABLE {qualified(*table)} ENABLE TRIGGER {qualified(name)}"
    return f"DROP TRIGGER {_on_table(fact)}"


def _publication(fact: Fact) -> str:
    if fact.kind == "table":
        return f"ALTER PUBLICATION {fact.object} DROP TABLE {fact.value}"
    if fact.kind == "schema":
        schema = qualified(parts_of(fact.value)[0])
        return f"ALTER PUBLICATION {fact.object} DROP TABLES IN SCHEMA {schema}"
    return f"DROP PUBLICATION {fact.object}"


def _on_table(fact: Fact) -> str:
    *table, name = parts_of(fact.object)
    return f"{qualified(name)} ON {qualified(*table)}"
