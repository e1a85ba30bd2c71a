"""How `vaultdb roles` shows a plan, what was applied, and what a verification found."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from vaultdb.cli.report import plural, print_table, shown_on_terminal
from vaultdb.roles.description import describe
from vaultdb.roles.matrix import lines

if TYPE_CHECKING:
    from vaultdb.roles.apply import Applied
    from vaultdb.roles.matrix import Right
    from vaultdb.roles.plan import Plan
    from vaultdb.roles.verify import Verification


def print_plan(found: Plan, *, sql: bool) -> None:
    """Print what `roles apply` would change, and what it leaves alone."""
    changes = [("-", fact) for fact in found.excess] + [("+", fact) for fact in found.missing]
    for sign, fact in sorted(changes, key=lambda change: (change[1].fact, change[1], change[0])):
        print(shown_on_terminal(f"{sign} {describe(fact)}"))
    if sql:
        for statement in found.statements:
            print(shown_on_terminal(f"{statement};"))
    for fact in sorted(found.comparison.reported):
        print(shown_on_terminal(f"! {describe(fact)}, which apply leaves alone"))
    for name in found.comparison.absent:
        print(shown_on_terminal(f"{name} does not exist yet; run: vaultdb migrate up"))
    for role in found.comparison.strangers:
        print(shown_on_terminal(f"role {role}, named in a declaration, does not exist"))
    if not found:
        print("there is nothing to change")
    if not found.scope.metadata:
        print("no models were given, so access to your tables is not looked at; say --model")


def plan_as_json(found: Plan, login: str) -> dict[str, object]:
    """Return what `roles plan --json` prints."""
    return {
        "missing": [asdict(fact) for fact in sorted(found.missing)],
        "excess": [asdict(fact) for fact in sorted(found.excess)],
        "reported": [asdict(fact) for fact in sorted(found.comparison.reported)],
        "statements": found.statements,
        "absent": found.comparison.absent,
        "strangers": found.comparison.strangers,
        "login": {"role": login, "name": found.snapshot.login},
    }


def print_applied(done: Applied) -> None:
    """Print what `roles apply` did, and what the login could not do."""
    print(f"ran {plural(len(done.statements), 'statement')}")
    if done.recorded:
        print("recorded in vaultdb_audit.operation")
    for statement in done.left.statements:
        print(shown_on_terminal(f"left, for a superuser: {statement}"))
    for reason in done.reasons:
        print(shown_on_terminal(f"postgresql says: {reason}"))


def applied_as_json(done: Applied) -> dict[str, object]:
    """Return what `roles apply --json` prints."""
    return {
        "statements": done.statements,
        "left": done.left.statements,
        "reasons": done.reasons,
        "recorded": done.recorded,
    }


def print_matrix(rights: list[Right]) -> None:
    """Print who may do what with each table."""
    print_table(("table", "role", "may"), lines(rights), nothing="there are no tables")
    print("(columns): only some; *: only after SET ROLE\n")


def print_verification(found: Verification) -> None:
    """Print each difference with its remedy, and each note."""
    for drift in found.drifts:
        print(shown_on_terminal(f"drift: {drift.problem}"))
        by_hand = "" if drift.is_repaired else "  (apply leaves it alone)"
        print(shown_on_terminal(f"       {drift.remedy}{by_hand}"))
    for note in found.notes:
        print(shown_on_terminal(f"note: {note.text}"))
        if note.remedy:
            print(shown_on_terminal(f"      {note.remedy}"))
    if found.is_clean:
        print("roles and privileges are as they shall be")
    else:
        repaired = sum(drift.is_repaired for drift in found.drifts)
        by_apply = f"{repaired} repaired by: vaultdb roles apply" if repaired else "all by hand"
        print(f"{plural(len(found.drifts), 'difference')}; {by_apply}")


def verification_as_json(found: Verification, rights: list[Right], login: str) -> dict[str, object]:
    """Return what `roles verify --json` prints."""
    return {
        "clean": found.is_clean,
        "drifts": [asdict(drift) for drift in found.drifts],
        "notes": [asdict(note) for note in found.notes],
        "facts": found.facts,
        "login": {"role": login, "name": found.plan.snapshot.login},
        "matrix": [asdict(right) for right in rights],
    }
