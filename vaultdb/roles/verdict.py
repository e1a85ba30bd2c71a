"""Judge a fact that nobody wants: take it away, tell an operator, or let it be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from vaultdb.db.quoting import parts_of, qualified, quote_name
from vaultdb.roles.base import OWN_SCHEMAS, POWERS, TEMPORARY, TIMEOUTS, is_zero, schema_of
from vaultdb.roles.fact import PUBLIC, Fact
from vaultdb.roles.scope import Scope
from vaultdb.roles.snapshot import Snapshot
from vaultdb.roles.static_logins import admin_schema

SAFE_LOGGING = frozenset({"none", "ddl"})
"""Values of log_statement that put no statement with values into the server's log."""

_RISKY = frozenset(
    {"role", "session_authorization", "session_replication_role", "row_security"}
    | {"log_statement", "log_parameter_max_length_on_error"}
    | {"vaultdb.tenant", "vaultdb.principal", "standard_conforming_strings"}
    | {"transform_null_equals", "session_preload_libraries", "local_preload_libraries"}
)
_SERVER = {
    "log_statement": SAFE_LOGGING,
    "log_parameter_max_length_on_error": frozenset({"0"}),
    "password_encryption": frozenset({"scram-sha-256"}),
    "row_security": frozenset({"on"}),
    "session_replication_role": frozenset({"origin"}),
    "ssl": frozenset({"on", "off"}),
}


class Verdict(Enum):
    """What becomes of an unwanted fact."""

    REPAIR = "repair"
    """`roles apply` takes it away."""
    REPORT = "report"
    """`roles verify` names it; an operator decides."""
    LEAVE = "leave"
    """It is none of vaultdb's business, or harmless."""


REPAIR, REPORT, LEAVE = Verdict.REPAIR, Verdict.REPORT, Verdict.LEAVE


@dataclass(frozen=True)
class Judge:
    """The rules, for one scope and one state of the database."""

    scope: Scope
    snapshot: Snapshot

    def judge(self, fact: Fact) -> Verdict:
        """Return what becomes of an unwanted fact."""
        rules: dict[str, Callable[[Fact], Verdict]] = {
            "grant": self._grant,
            "owner": self._owner,
            "default": self._default,
            "role": self._role,
            "member": self._member,
            "setting": self._setting,
            "definer": self._definer,
            "trigger": self._trigger,
            "view": self._view,
            "publication": self._publication,
            "server": self._server,
        }
        rule = rules.get(fact.fact)
        if rule is not None:
            return rule(fact)
        if fact.fact in {"rls", "policy"}:
            return REPAIR if self._is_own(fact) or fact in self._declared else LEAVE
        if fact.fact == "source":
            return LEAVE if self._is_admin(fact) else REPORT
        if fact.fact == "rule":
            return REPORT
        return REPORT if fact.fact == "event_trigger" and self.scope.is_ours(fact.who) else LEAVE

    @cached_property
    def _declared(self) -> frozenset[Fact]:
        return self.scope.about_declared(self.snapshot.facts)

    def _is_own(self, fact: Fact) -> bool:
        return schema_of(fact) in OWN_SCHEMAS

    def _is_admin(self, fact: Fact) -> bool:
        return schema_of(fact) == admin_schema(self.scope.names)

    def _grant(self, fact: Fact) -> Verdict:
        if fact.kind == "parameter":
            return REPAIR if self._is_open(fact) else LEAVE
        if fact.kind == "database":
            return self._on_database(fact)
        if self._is_own(fact):
            return REPAIR
        if self._is_admin(fact):
            return LEAVE if fact.who == self.scope.engine and not fact.extra else REPAIR
        rules = {"schema": self._on_schema, "function": self._on_function}
        return rules.get(fact.kind, self._on_table)(fact)

    def _is_open(self, fact: Fact) -> bool:
        """Whether a grant is to everybody or to one of vaultdb's roles."""
        return fact.who == PUBLIC or self.scope.is_ours(fact.who)

    def _on_database(self, fact: Fact) -> Verdict:
        if fact.who == self.scope.engine and fact.value == "CONNECT":
            return LEAVE
        if self._is_open(fact):
            return REPAIR
        return REPORT if fact.value == "CREATE" else LEAVE

    def _on_schema(self, fact: Fact) -> Verdict:
        if fact.value == "USAGE" and fact.who != PUBLIC:
            return LEAVE
        return REPAIR if self._is_open(fact) else REPORT

    def _on_function(self, fact: Fact) -> Verdict:
        of_the_server = fact.object.startswith("pg_catalog.")
        open_definer = fact.who == PUBLIC and fact.object in self._definers
        return REPAIR if of_the_server or open_definer else LEAVE

    def _on_table(self, fact: Fact) -> Verdict:
        if fact in self._declared or fact.object.startswith("pg_catalog."):
            return REPAIR
        return REPORT if fact.who == PUBLIC and fact.kind != "type" else LEAVE

    @cached_property
    def _definers(self) -> frozenset[str]:
        return frozenset(fact.object for fact in self.snapshot.facts if fact.fact == "definer")

    def _owner(self, fact: Fact) -> Verdict:
        if fact.kind != "database" and self._is_admin(fact):
            return REPORT if self.scope.is_ours(fact.who) else LEAVE
        if fact.kind == "database":
            return (
                REPORT if self.scope.is_ours(fact.who) and fact.who != self.scope.owner else LEAVE
            )
        if fact.kind == "schema":
            is_stranger = not self.scope.is_ours(fact.who) or fact.who == self.scope.owner
            return LEAVE if is_stranger else REPORT
        in_models = schema_of(fact) in self.scope.model_schemas
        is_ours = self._is_own(fact)
        if fact.kind != "table" or fact.who == self.scope.owner or not (in_models or is_ours):
            return LEAVE
        return REPORT

    def _default(self, fact: Fact) -> Verdict:
        role, _, _ = fact.object.rpartition(":")
        if role in self.scope.capabilities:
            return REPAIR
        born_closed = fact.who == PUBLIC and fact.kind in {"tables", "sequences", "schemas"}
        return REPORT if self.scope.is_ours(fact.who) or born_closed else LEAVE

    def _role(self, fact: Fact) -> Verdict:
        powers = set(POWERS).intersection(fact.value.split())
        if fact.object == self.scope.engine:
            powers -= {"CREATEROLE"}
        logs_in = (
            fact.object == self.scope.engine
            or self.scope.is_leased(fact.object)
            or fact.object in map(quote_name, self.scope.members)
        )
        return REPORT if logs_in and powers else LEAVE

    def _member(self, fact: Fact) -> Verdict:
        role, member = fact.object, fact.who
        hands_out = (fact.value, fact.extra) == ("NOINHERIT", "ADMIN NOSET")
        is_capability = role in self.scope.capabilities
        if self.scope.is_leased(member) and is_capability:
            return REPAIR if "ADMIN" in fact.extra else LEAVE
        # Since 16 whoever makes a role may hand it out, and can do nothing else with it.
        if hands_out and member not in self.scope.capabilities | self.scope.logins_known:
            return LEAVE
        if self.scope.is_ours(member):
            return REPAIR
        if self.scope.is_rightly(member, role) and not fact.extra:
            return LEAVE
        if not is_capability:
            return LEAVE
        names = self.scope.names
        never_shared = map(quote_name, (names.owner, names.audit_owner, names.backup))
        return REPAIR if role in never_shared else REPORT

    def _setting(self, fact: Fact) -> Verdict:
        if not self._is_risky(fact):
            return LEAVE
        if self.scope.is_leased(fact.who):
            takes_role = fact.object == "role" and quote_name(fact.value) in self.scope.capabilities
            return LEAVE if takes_role or fact.object in TIMEOUTS else REPORT
        if fact.kind == "cluster" and not fact.who:
            return REPORT
        return REPAIR if not fact.who or self.scope.is_ours(fact.who) else LEAVE

    def _is_risky(self, fact: Fact) -> bool:
        if fact.object == "search_path":
            return not ends_with_temporary(fact.value)
        if fact.object in TIMEOUTS:
            return is_zero(fact.value)
        if fact.object == "default_transaction_read_only":
            return fact.value != "on"
        if fact.object in _SERVER:
            return fact.value not in _SERVER[fact.object]
        return fact.object in _RISKY

    def _definer(self, fact: Fact) -> Verdict:
        path = next(
            (s for s in fact.value.split(";") if s.startswith("search_path=")), "search_path="
        )
        return LEAVE if ends_with_temporary(path.partition("=")[2]) else REPORT

    def _trigger(self, fact: Fact) -> Verdict:
        if self._is_own(fact):
            return REPAIR
        by_another = self.scope.is_ours(fact.who) and fact.who != self.scope.owner
        table = qualified(*parts_of(fact.object)[:2])
        if table not in self.scope.tables:
            return LEAVE
        return REPORT if fact.kind == "disabled" or fact.extra or by_another else LEAVE

    def _view(self, fact: Fact) -> Verdict:
        looked_at = self._is_own(fact) or schema_of(fact) in self.scope.model_schemas
        return REPORT if fact.kind == "definer" and looked_at else LEAVE

    def _publication(self, fact: Fact) -> Verdict:
        schema, table = parts_of(fact.value)
        ours = schema in OWN_SCHEMAS or qualified(schema, table) in self.scope.declared_tables
        return REPORT if ours else LEAVE

    def _server(self, fact: Fact) -> Verdict:
        return LEAVE if fact.value in _SERVER[fact.object] else REPORT


def ends_with_temporary(path: str) -> bool:
    """Whether pg_temp is searched last, not first."""
    return path.rpartition(",")[2].strip() == TEMPORARY
