"""The table of roles in `docs/reference/roles.md`, made from what the code grants.

`python -m vaultdb.roles.reference docs/reference/roles.md` writes it; a test compares.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table, Text

from vaultdb.db.quoting import parts_of, qualified
from vaultdb.db.role_names import RoleNames
from vaultdb.orm import Encrypted, Equality
from vaultdb.roles.access import access
from vaultdb.roles.fact import Fact
from vaultdb.roles.scope import Scope
from vaultdb.roles.script import imagined
from vaultdb.roles.static_logins import static_logins

BEGIN = "<!-- made by: python -m vaultdb.roles.reference docs/reference/roles.md -->"
END = "<!-- end -->"

_OWNS = "owns"
_ON_DATABASE = "the database"


def reference() -> str:
    """Return two tables in Markdown: logins, and what each capability role may do."""
    names = RoleNames()
    scope = Scope(names, (_example(),))
    wanted = scope.wanted(imagined(scope))
    return "\n".join([*_logins(names), "", *_privileges(names, wanted)])


def rewritten(page: str) -> str:
    """Return a page with the tables in it replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def _example() -> MetaData:
    metadata = MetaData(schema="clinic")
    patient = Table(
        "patient",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("ssn", Encrypted(str, index=Equality())),
        Column("note", Text),
    )
    access(patient)
    return metadata


def _logins(names: RoleNames) -> list[str]:
    rows = ["| login | member of | sessions | settings of its own |", "|---|---|---|---|"]
    for login in static_logins(names):
        settings = [f"`{name} = {value}`" for name, value in login.settings.items()]
        if login.acts_as_capability:
            settings.insert(0, f"`role = {login.capability}`")
        cells = (f"`{login.name}`", f"`{login.capability}`", str(login.connections))
        rows.append(f"| {' | '.join((*cells, ', '.join(settings) or '-'))} |")
    return rows


def _privileges(names: RoleNames, wanted: frozenset[Fact]) -> list[str]:
    cells: dict[tuple[str, str], dict[str, dict[str, list[str]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for fact in sorted(wanted):
        if fact.fact == "owner":
            cells[_row(fact)][fact.who][_OWNS] = []
        elif fact.fact == "grant":
            columns = cells[_row(fact)][fact.who][fact.value]
            if fact.kind == "column":
                columns.append(parts_of(fact.object)[-1])
    roles = [role for role in names.all if role != names.audit_owner]
    head = f"| on | {' | '.join(f'`{role}`' for role in roles)} |"
    rows = [head, f"|{'---|' * (len(roles) + 1)}"]
    for (kind, name), held in sorted(cells.items()):
        if not held.keys() & set(roles):
            continue
        what = kind if kind == _ON_DATABASE else f"{kind} `{name}`"
        rows.append(f"| {what} | {' | '.join(_cell(held.get(role)) for role in roles)} |")
    return rows


def _row(fact: Fact) -> tuple[str, str]:
    if fact.kind == "database":
        return (_ON_DATABASE, "")
    is_column = fact.fact == "grant" and fact.kind == "column"
    name = qualified(*parts_of(fact.object)[:2]) if is_column else fact.object
    return ("table" if is_column else fact.kind, name)


def _cell(held: dict[str, list[str]] | None) -> str:
    if not held:
        return "-"
    return ", ".join(
        f"{word} ({', '.join(columns)})" if columns else word for word, columns in held.items()
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(rewritten(target.read_text("utf-8")), "utf-8")
