"""How `vaultdb migrate` shows what was done, what is pending, and what would be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vaultdb.cli.report import plural

if TYPE_CHECKING:
    from vaultdb.alembic.own import Migrated
    from vaultdb.alembic.preview import Preview
    from vaultdb.alembic.runner import TreeStatus
    from vaultdb.alembic.session import Session, Step
    from vaultdb.roles.fact import Fact

Teller = Callable[[str], None]
"""Shows a notice."""


def print_step(step: Step) -> None:
    """Print one revision that is done."""
    done = "applied" if step.is_upgrade else "reverted"
    print(f"{done} {step} in {step.tree} ({step.seconds:.2f} s)", flush=True)


def print_upgrade(session: Session, own: Migrated | None) -> None:
    """Print what an upgrade did besides its revisions."""
    if not session.steps:
        print("the schema was up to date")
    if own is not None:
        print(f"realm {own.realm}, owner {own.owner}")
        if own.granted:
            print(f"granted to {', '.join(own.granted)}")
        for role in own.absent:
            print(f"role {role} does not exist: nothing granted to it")
    if session.recorded is not None and (session.recorded.new or session.recorded.moved):
        print(
            f"recorded {plural(len(session.recorded.new), 'new logical name')},"
            f" {len(session.recorded.moved)} moved"
        )


def upgrade_as_json(session: Session, own: Migrated | None) -> dict[str, Any]:
    """Return what `migrate up --json` or `migrate down --json` prints."""
    recorded = session.recorded
    return {
        "steps": [asdict(step) for step in session.steps],
        "login": session.login,
        "owner": session.owner,
        "realm": own.realm if own else None,
        "granted": own.granted if own else (),
        "absent": own.absent if own else (),
        "names": [name.name for name in (*recorded.new, *recorded.moved)] if recorded else [],
        "notices": session.notices,
    }


def print_status(trees: list[TreeStatus], realm: object) -> None:
    """Print where the database stands."""
    for tree in trees:
        current, newest = (", ".join(ids) or "none" for ids in (tree.current, tree.heads))
        print(f"{tree.tree}: revision {current}, newest {newest}")
        for step in tree.pending:
            print(f"  pending {step}")
    print(f"realm {realm or 'none'}")


def status_as_json(trees: list[TreeStatus], realm: object) -> dict[str, Any]:
    """Return what `migrate status --json` prints."""
    pending = [f"{tree.tree} {step}" for tree in trees for step in tree.pending]
    return {"trees": [asdict(tree) for tree in trees], "pending": pending, "realm": realm}


def print_preview(found: Preview) -> None:
    """Print what an upgrade would do."""
    if found.is_empty:
        print("nothing is pending")
        return
    for planned in found.revisions:
        print(f"{planned.tree} {planned.revision} {planned.title}".rstrip())
        for statement in planned.statements:
            print(_indented(statement))
        for lock in planned.locks:
            print(f"  lock {lock.mode} on {lock.relation}: {lock.effect}")
    if found.stopped is not None:
        stopped = found.stopped
        print(
            f"{stopped.tree} {stopped.revision} cannot be tried: it uses autocommit_block, so it"
            " cannot run in a transaction; it and what comes after it is not shown\n"
            f"  its SQL: vaultdb migrate sql --tree {stopped.tree} --to PREVIOUS:{stopped.revision}"
        )
    for sign, facts in (("+", found.gained), ("-", found.lost)):
        for fact in facts:
            print(f"{sign} {_fact(fact)}")
    if not found.gained and not found.lost:
        print("no privilege changes")
    print("rolled back; the database is as before")


def preview_as_json(found: Preview) -> dict[str, Any]:
    """Return what `migrate plan --json` prints."""
    return {
        "pending": not found.is_empty,
        "revisions": [
            asdict(planned)
            | {"locks": [asdict(lock) | {"effect": lock.effect} for lock in planned.locks]}
            for planned in found.revisions
        ],
        "not_in_a_transaction": asdict(found.stopped) if found.stopped else None,
        "gained": [asdict(fact) for fact in found.gained],
        "lost": [asdict(fact) for fact in found.lost],
    }


def _fact(fact: Fact) -> str:
    parts = (fact.fact, fact.kind, fact.object, fact.who, fact.value, fact.extra)
    return " ".join(part for part in parts if part)


def _indented(statement: str) -> str:
    return "\n".join(f"  {line}" for line in statement.splitlines() if line.strip())
