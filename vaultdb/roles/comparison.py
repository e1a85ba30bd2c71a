"""Compare what is wanted with what is there."""

from __future__ import annotations

from dataclasses import dataclass

from vaultdb.db.audit_schema import AUDIT_SCHEMA
from vaultdb.db.quoting import parts_of, qualified, split_list
from vaultdb.roles.fact import PUBLIC, Fact
from vaultdb.roles.scope import Scope
from vaultdb.roles.snapshot import Snapshot
from vaultdb.roles.verdict import Judge, Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a database differs from what is wanted."""

    wanted: frozenset[Fact]
    missing: frozenset[Fact]
    """Facts that `roles apply` makes true."""
    excess: frozenset[Fact]
    """Facts that `roles apply` takes away."""
    reported: frozenset[Fact]
    """Facts that an operator has to look at: taking them away could break somebody's work."""
    absent: tuple[str, ...]
    """Tables and columns that are declared and do not exist yet."""
    strangers: tuple[str, ...]
    """Roles that declarations name and that do not exist."""


def compare(scope: Scope, snapshot: Snapshot) -> Comparison:
    """Return how the database of a snapshot differs from what is wanted."""
    wanted = scope.wanted(snapshot)
    impossible = {fact: _lacks(fact, scope, snapshot) for fact in wanted - snapshot.facts}
    missing = {fact for fact, lack in impossible.items() if lack is None}
    judge = Judge(scope, snapshot)
    verdicts = {fact: judge.judge(fact) for fact in snapshot.facts - wanted}
    replaced = {subject(fact) for fact in missing}
    excess = {
        fact
        for fact, verdict in verdicts.items()
        if verdict is Verdict.REPAIR or subject(fact) in replaced
    }
    reported = {fact for fact, verdict in verdicts.items() if verdict is Verdict.REPORT}
    lacks = {lack for lack in impossible.values() if lack is not None}
    return Comparison(
        wanted,
        frozenset(missing),
        frozenset(excess | _born_with(scope, snapshot)),
        frozenset(reported - excess),
        absent=tuple(sorted(name for kind, name in lacks if kind == "table")),
        strangers=tuple(sorted(name for kind, name in lacks if kind == "role")),
    )


def subject(fact: Fact) -> tuple[str, ...]:
    """Return what there can be only one of: two facts with one subject replace each other."""
    if fact.fact in {"role", "source", "trigger", "rls", "policy"}:
        return (fact.fact, fact.object)
    if fact.fact == "owner":
        return (fact.fact, fact.kind, fact.object)
    if fact.fact == "setting":
        return (fact.fact, fact.kind, fact.object, fact.who)
    if fact.fact == "member":
        return (fact.fact, fact.object, fact.who)
    return (fact.fact, fact.kind, fact.object, fact.who, fact.value, fact.extra)


def _lacks(fact: Fact, scope: Scope, snapshot: Snapshot) -> tuple[str, str] | None:
    """Return what must exist before a wanted fact can hold: a table, a column or a role."""
    if fact.fact in {"grant", "rls", "policy"}:
        absent = _absent(fact, snapshot)
        if absent is not None:
            return ("table", absent)
    for role in _roles_of(fact):
        if not scope.is_ours(role) and role not in snapshot.roles and role != PUBLIC:
            return ("role", role)
    return None


def _absent(fact: Fact, snapshot: Snapshot) -> str | None:
    if fact.kind not in {"table", "column", "sequence"} and fact.fact == "grant":
        return None
    parts = parts_of(fact.object)
    if parts[0] == AUDIT_SCHEMA:
        return None  # made by apply
    kind = "sequence" if fact.kind == "sequence" else "table"
    table = qualified(*parts[:2])
    if snapshot.owner(kind, table) is None:
        return table
    is_column = fact.fact == "grant" and fact.kind == "column"
    return fact.object if is_column and fact.object not in snapshot.columns else None


def _roles_of(fact: Fact) -> list[str]:
    if fact.fact == "policy":
        return split_list(fact.who)
    return [fact.who] if fact.fact == "grant" else []


def _born_with(scope: Scope, snapshot: Snapshot) -> set[Fact]:
    """Return what will be open to everybody once an owner exists that does not exist yet."""
    owners = [qualified(scope.names.owner), qualified(scope.names.audit_owner)]
    return {
        Fact("default", kind, f"{owner}:*", PUBLIC, privilege)
        for owner in owners
        if owner not in snapshot.roles
        for kind, privilege in (("functions", "EXECUTE"), ("types", "USAGE"))
    }
