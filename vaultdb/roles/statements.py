"""The SQL that turns one set of facts about tables into another."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from psycopg import sql

from vaultdb.db.quoting import parts_of, qualified, split_list
from vaultdb.roles.circles import revokes_in_circles
from vaultdb.roles.fact import PUBLIC, Fact

GRANTED_ON = frozenset({"table", "column", "sequence"})
GRANT_OPTION = "GRANT OPTION"
BY = "BY "
"""Before the grantor of what others than the owner granted."""

_WORDS = re.compile(r"[A-Z]+(?: [A-Z]+)*")


def statements(
    missing: Iterable[Fact], excess: Iterable[Fact], *, wanted: Iterable[Fact] = ()
) -> list[str]:
    """Return the SQL that makes `missing` true and `excess` untrue, in the order to run it.

    Facts about anything else than privileges on tables, columns and sequences, row-level security
    and policies are passed over. Run them in one transaction, as the owner, and without
    parameters: names may contain `%` and `:`.

    Args:
        missing: facts that shall hold.
        excess: facts that shall not.
        wanted: all facts that shall hold. Revoking a privilege on a table takes it away on the
            columns too: what is wanted of that is granted once more.

    """
    add, remove = set(missing), set(excess)
    keep = add | set(wanted)
    found = [
        *_circles(remove),
        *_passed_on(remove),
        *_option_revokes(remove),
        *_revokes(remove, keep),
        *_row_security(add, remove),
        *_dropped_policies(remove),
        *_made_policies(add),
        *_grants(add | _wiped(remove, keep)),
    ]
    return [each.as_string(None) for each in found]


def _passed_on(remove: set[Fact]) -> list[sql.Composed]:
    """Take back what others than the owner granted.

    They could revoke it, or a cascade; but that reaches no grant on a column that was made by a
    grant option on the table. So its grantor is given the option on the very same, and loses it.
    """
    found = []
    for parts in _grouped(_sources(remove)):
        grant = sql.SQL("GRANT {} ON {} TO {} WITH GRANT OPTION")
        revoke = sql.SQL("REVOKE {} ON {} FROM {} CASCADE")
        found += [each.format(*parts) for each in (grant, revoke)]
    return found


def _circles(remove: set[Fact]) -> list[sql.Composed]:
    options = {f: f.extra.partition(BY)[2] for f in remove if _is_grant(f) and BY in f.extra}
    options = {f: grantor for f, grantor in options.items() if f.extra.startswith(GRANT_OPTION)}
    revoke = sql.SQL("REVOKE {} ON {} FROM {} CASCADE")
    revokes = {fact: revoke.format(*_grouped({fact})[0]) for fact in options}
    return revokes_in_circles(options.items(), revokes)


def _sources(remove: set[Fact]) -> set[Fact]:
    """Return the privileges that were passed on, with their grantors."""
    return {
        replace(fact, who=fact.extra.partition(BY)[2], extra="")
        for fact in remove
        if _is_grant(fact) and BY in fact.extra
    }


def _option_revokes(remove: set[Fact]) -> list[sql.Composed]:
    options = {fact for fact in remove if _is_grant(fact) and fact.extra == GRANT_OPTION}
    return [
        sql.SQL("REVOKE GRANT OPTION FOR {} ON {} FROM {} CASCADE").format(*parts)
        for parts in _grouped(options)
    ]


def _revokes(remove: set[Fact], keep: set[Fact]) -> list[sql.Composed]:
    """Revoke on tables before columns; a grant that only loses its option stays."""
    plain = {replace(f, extra="") for f in remove if _is_grant(f) and BY not in f.extra} - keep
    tables = {fact for fact in plain if fact.kind != "column"}
    return [
        sql.SQL("REVOKE {} ON {} FROM {}").format(*parts)
        for facts in (tables, plain - tables)
        for parts in _grouped(facts)
    ]


def _wiped(remove: set[Fact], keep: set[Fact]) -> set[Fact]:
    """Return what is wanted and lost by the revokes."""
    sources = _sources(remove)
    tables = {fact for fact in remove if _is_grant(fact) and fact.kind == "table"}
    lost = {(_table(fact), fact.who, fact.value) for fact in sources | tables}
    return {f for f in keep if _is_grant(f) and (_table(f), f.who, f.value) in lost}


def _grants(add: set[Fact]) -> list[sql.Composed]:
    return [
        sql.SQL("GRANT {} ON {} TO {}").format(*parts)
        + sql.SQL(" WITH GRANT OPTION" if option else "")
        for option in (False, True)
        for parts in _grouped(
            {f for f in add if _is_grant(f) and (f.extra == GRANT_OPTION) is option}
        )
    ]


def _row_security(add: set[Fact], remove: set[Fact]) -> list[sql.Composed]:
    """Enable before policies and grants: a table is never open in between."""
    made = {fact.object: fact for fact in add if fact.fact == "rls"}
    gone = {fact.object: fact for fact in remove if fact.fact == "rls"}
    found = []
    for table in sorted(made.keys() | gone.keys()):
        fact = made.get(table, Fact("rls", "table", table, "", "disabled", ""))
        enable = "ENABLE" if fact.value == "enabled" else "DISABLE"
        force = "FORCE" if fact.extra == "forced" else "NO FORCE"
        found.append(
            sql.SQL("ALTER TABLE {} {} ROW LEVEL SECURITY, {} ROW LEVEL SECURITY").format(
                _name(parts_of(table)), _words(enable), _words(force)
            )
        )
    return found


def _dropped_policies(remove: set[Fact]) -> list[sql.Composed]:
    """Drop the permissive ones first."""
    dropped = sorted((f for f in remove if f.fact == "policy"), key=lambda f: (f.extra, f.object))
    return [sql.SQL("DROP POLICY {} ON {}").format(*_policy_name(fact)) for fact in dropped]


def _made_policies(add: set[Fact]) -> list[sql.Composed]:
    """Make the restrictive ones first."""
    made = (f for f in add if f.fact == "policy")
    return [_make(f) for f in sorted(made, key=lambda f: (f.extra[:1] != "R", f.object))]


def _make(fact: Fact) -> sql.Composed:
    kind, _, check = fact.extra.partition("|")
    roles = sql.SQL(", ").join(_role(role) for role in split_list(fact.who))
    statement = sql.SQL("CREATE POLICY {} ON {} AS {} FOR {} TO {}").format(
        *_policy_name(fact), _words(kind), _words(fact.kind), roles
    )
    # PostgreSQL prints expressions so that they can be read again.
    if fact.value:
        statement += sql.SQL(" USING ") + _expression(fact.value)
    if check:
        statement += sql.SQL(" WITH CHECK ") + _expression(check)
    return statement


def _grouped(facts: set[Fact]) -> list[tuple[sql.Composable, sql.Composable, sql.Composable]]:
    """Return privileges, object and role of one statement for each object and role."""
    groups: dict[tuple[str, str, str], dict[tuple[str, bool], list[str]]] = defaultdict(dict)
    for fact in sorted(facts):
        on = "SEQUENCE" if fact.kind == "sequence" else "TABLE"
        privileges = groups[on, _table(fact), fact.who]
        columns = privileges.setdefault((fact.value, fact.kind == "column"), [])
        if fact.kind == "column":
            columns.append(parts_of(fact.object)[-1])
    return [
        (
            sql.SQL(", ").join(_privilege(word, names) for (word, _), names in privileges.items()),
            _words(on) + sql.SQL(" ") + _name(parts_of(name)),
            _role(who),
        )
        for (on, name, who), privileges in sorted(groups.items())
    ]


def _privilege(word: str, columns: list[str]) -> sql.Composable:
    if not columns:
        return _words(word)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("{} ({})").format(_words(word), names)


def _is_grant(fact: Fact) -> bool:
    return fact.fact == "grant" and fact.kind in GRANTED_ON


def _table(fact: Fact) -> str:
    """Return the table or sequence that the fact is about, as PostgreSQL prints it."""
    if fact.kind in {"table", "sequence"}:
        return fact.object
    return qualified(*parts_of(fact.object)[:-1])


def _policy_name(fact: Fact) -> tuple[sql.Composable, sql.Composable]:
    *table, policy = parts_of(fact.object)
    return sql.Identifier(policy), _name(table)


def _name(parts: Sequence[str]) -> sql.Composable:
    return sql.Identifier(*parts)


def _role(printed: str) -> sql.Composable:
    return sql.SQL("PUBLIC") if printed == PUBLIC else sql.Identifier(*parts_of(printed))


def _words(text: str) -> sql.SQL:
    """Return keywords; what else a fact may hold in their place is refused.

    Raises:
        ValueError: this is no list of words in capitals.

    """
    if not _WORDS.fullmatch(text):
        raise ValueError(f"not a word of SQL: {text!r}")
    return sql.SQL(text)  # pyright: ignore[reportArgumentType]


def _expression(printed: str) -> sql.Composed:
    text = sql.SQL(printed)  # pyright: ignore[reportArgumentType]
    return sql.SQL("({})").format(text)
