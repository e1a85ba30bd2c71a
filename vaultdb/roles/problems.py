"""Name each difference in one sentence: what it is, and why it is dangerous."""

from __future__ import annotations

from collections.abc import Callable

from vaultdb.roles.description import describe, everybody
from vaultdb.roles.drift import Difference
from vaultdb.roles.statements import GRANT_OPTION


def problem(difference: Difference) -> str:
    """Return the sentence about a difference."""
    explain = _PROBLEMS.get(difference.fact.fact)
    return explain(difference) if explain else describe(difference.fact)


_WHY = {
    "SELECT": "it reads what nobody declared",
    "INSERT": "it adds rows that nobody declared",
    "UPDATE": "it changes values that nobody declared",
    "DELETE": "it removes rows that nobody declared",
    "TRUNCATE": "it empties the table past row-level security",
    "REFERENCES": "a foreign key of its own tells which keys exist and blocks their removal",
    "TRIGGER": "a trigger runs its code with the rights of whoever writes to the table",
    "MAINTAIN": "it locks the table as long as it likes",
    "CREATE": "what it creates stands where others look for something else",
    "USAGE": "it opens the way to what is inside",
    "CONNECT": "logins that have nothing to do here come in",
    "TEMPORARY": "a temporary table takes the place of a real one in other people's functions",
    "EXECUTE": "whoever comes in may call it",
    "SET": "it changes a setting that only a superuser may",
    "ALTER SYSTEM": "it changes the server's configuration",
}


def _grant(difference: Difference) -> str:
    fact = difference.fact
    who, on = everybody(fact.who), f"{fact.kind} {fact.object}"
    if difference.found is None:
        return f"{who} lacks {fact.value} on {on}: work that needs it fails"
    if fact.object.startswith("pg_catalog.lo_"):
        return (
            f"{who} may make large objects ({fact.object}): they are outside every declaration,"
            " and one that another owns stops pg_dump"
        )
    why = _WHY.get(fact.value, "nobody declared it")
    passed_on = ", and may pass it on to anybody" if GRANT_OPTION in fact.extra else ""
    return f"{who} has {fact.value} on {on}{passed_on}: {why}"


def _owner(difference: Difference) -> str:
    found, wanted = difference.found, difference.wanted
    what = f"{difference.fact.kind} {difference.fact.object}"
    if wanted is None:
        return f"{what} belongs to {difference.fact.who} and is in no model: nobody looks after it"
    if found is None:
        return f"{what} does not exist: what is done to the database is not recorded"
    return (
        f"{what} belongs to {found.who} instead of {wanted.who}: an owner grants to anybody and"
        " switches row-level security off"
    )


def _default(difference: Difference) -> str:
    fact = difference.fact
    role, _, schema = fact.object.rpartition(":")
    place = "" if schema == "*" else f" in schema {schema}"
    return (
        f"{fact.kind} that {role} makes in future{place} are open to {everybody(fact.who)}"
        f" ({fact.value}): nobody sees that in a migration"
    )


def _rls(difference: Difference) -> str:
    found, wanted = difference.found, difference.wanted
    table = difference.fact.object
    if wanted is None:
        return f"row-level security of {table} is {difference.fact.value}, which nobody declared"
    if found is None or found.value != "enabled":
        return f"row-level security of {table} is off: whoever reads the table sees every row"
    return f"row-level security of {table} is not forced: it does not hold for the owner"


def _policy(difference: Difference) -> str:
    found, wanted = difference.found, difference.wanted
    table, _, _ = difference.fact.object.rpartition(".")
    name = f"policy {difference.fact.object}"
    if found is None:
        return f"{name} is missing: rows are not shown, or too many are, on {table}"
    if wanted is None:
        return f"{name} is not declared: a permissive policy shows rows that the others hide"
    return f"{name} is not as declared, it is now: {describe(found)}; other rows are shown"


_ATTRIBUTES = {
    "SUPERUSER": "no privilege holds for a superuser",
    "CREATEROLE": "it makes logins, and until PostgreSQL 15 itself a member of any role",
    "CREATEDB": "it makes databases of its own",
    "REPLICATION": "it copies the whole cluster",
    "BYPASSRLS": "row-level security does not hold for it",
    "LOGIN": "sessions as this role are nobody's in particular",
}


def _role(difference: Difference) -> str:
    found, wanted = difference.found, difference.wanted
    name = f"role {difference.fact.object}"
    if found is None:
        return f"{name} does not exist: nothing can be granted to it"
    if wanted is None:
        return f"{name} is {found.value}: more than a login of the application needs"
    have, want = set(found.value.split()), set(wanted.value.split())
    excess = [f"{word}: {why}" for word, why in _ATTRIBUTES.items() if word in have - want]
    if excess:
        return f"{name} has {'; '.join(excess)}"
    lacking = sorted(want - have)
    if lacking:
        return f"{name} lacks {' '.join(lacking)}: what it is for does not work as planned"
    return f"{name} has no connection limit: one runaway process takes every connection"


def _member(difference: Difference) -> str:
    found, wanted = difference.found, difference.wanted
    role, member = difference.fact.object, difference.fact.who
    if found is None:
        return f"{member} is not a member of {role}: it may not do its work"
    if wanted is None:
        return f"{member} is a member of {role}: it may do whatever {role} may"
    if "ADMIN" in found.extra:
        return f"{member} may make anybody a member of {role}"
    how = "inherits from" if found.value == "INHERIT" else "does not inherit from"
    return f"{member} {how} {role}, other than planned: what it makes, or may, is another's"


_SETTINGS = {
    "search_path": "without pg_temp at its end, a temporary table takes the place of a real one",
    "role": "sessions act as another role than planned",
    "statement_timeout": "one statement runs, and holds its locks, as long as it likes",
    "lock_timeout": "a session waits for a lock for ever, and others behind it",
    "idle_in_transaction_session_timeout": "a forgotten transaction holds its locks for ever",
    "default_transaction_read_only": "a login that only reads can write by mistake",
    "session_replication_role": "triggers, also those that guard the audit, do not fire",
    "row_security": "statements fail, or policies are not applied, unnoticed",
    "log_statement": "values in statements are written to the server's log",
    "log_parameter_max_length_on_error": "values of failed statements are written to the log",
}


def _setting(difference: Difference) -> str:
    fact = difference.fact
    whose = f"of {fact.who}" if fact.who else "of every session"
    now = "is not set" if difference.found is None else f"is {fact.value}"
    why = _SETTINGS.get(fact.object, "it is not as planned")
    return f"setting {fact.object} {whose} {now}: {why}"


def _definer(difference: Difference) -> str:
    fact = difference.fact
    path = fact.value or "no search_path of its own"
    return (
        f"function {fact.object} runs with the rights of {fact.who} and has {path}, without pg_temp"
        " at its end: a caller's temporary table is used in place of a real one"
    )


def _source(difference: Difference) -> str:
    name = f"function {difference.fact.object}"
    if difference.found is None:
        return f"{name} is missing: what calls it fails"
    if difference.wanted is None:
        return f"{name} is none of vaultdb's: it may stand in the place of another"
    return f"{name} is not as vaultdb made it: it sees whatever it is called with"


def _trigger(difference: Difference) -> str:
    found, wanted = difference.found, difference.wanted
    name = f"trigger {difference.fact.object}"
    if found is None:
        return f"{name} is missing: the audit can be changed by mistake"
    if wanted is not None:
        return f"{name} is {found.kind} or changed: the audit can be changed by mistake"
    if found.kind == "disabled":
        return f"{name} is disabled: what it guards is not guarded"
    return f"{name} runs with the rights of {found.who}: it sees and changes every row written"


def _view(difference: Difference) -> str:
    fact = difference.fact
    return (
        f"view {fact.object} reads with the rights of {fact.who}: column privileges and row-level"
        " security of its tables do not hold for whoever reads it"
    )


def _publication(difference: Difference) -> str:
    fact = difference.fact
    return (
        f"publication {fact.object} sends {fact.value} to subscribers: neither privileges nor"
        " row-level security hold there"
    )


def _rule(difference: Difference) -> str:
    return f"rule {difference.fact.object} rewrites statements: other ones run than were written"


def _event_trigger(difference: Difference) -> str:
    fact = difference.fact
    return f"event trigger {fact.object} belongs to {fact.who}: it runs in everybody's migrations"


_SERVER = {**_SETTINGS, "password_encryption": "passwords are stored as MD5, which is guessed"}


def _server(difference: Difference) -> str:
    fact = difference.fact
    why = _SERVER.get(fact.object, "it is not as it should be")
    return f"the server has {fact.object} = {fact.value}: {why}"


_PROBLEMS: dict[str, Callable[[Difference], str]] = {
    "grant": _grant,
    "owner": _owner,
    "default": _default,
    "rls": _rls,
    "policy": _policy,
    "role": _role,
    "member": _member,
    "setting": _setting,
    "definer": _definer,
    "source": _source,
    "trigger": _trigger,
    "view": _view,
    "publication": _publication,
    "rule": _rule,
    "event_trigger": _event_trigger,
    "server": _server,
}
